import os
import sys
from pathlib import Path

import pytest
from fakes import FakeDriver

from drumvae.errors import PortError
from drumvae.live import backends
from drumvae.live.backends import find_backend, quiet
from drumvae.live.ports import InPort, Ports, list_ports, match, others


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A JACK server with a keyboard, a synthesizer and a sequencer on it."""
    driver = FakeDriver(["Keys:out", "Ardour:MIDI Clock out", "IAC Driver Bus 1"], ["Synth:in", "IAC Driver Bus 1"])
    monkeypatch.setitem(sys.modules, "rtmidi", driver)
    monkeypatch.setattr(sys, "platform", "linux")
    return driver


def on_windows(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver.compiled = [driver.API_WINDOWS_MM]
    monkeypatch.setattr(sys, "platform", "win32")
    return driver


def test_a_port_is_found_by_part_of_its_name_whatever_the_case() -> None:
    names = ["IAC Driver Bus 1", "drum pad", "Pad", "Ardour:MIDI Clock out"]
    assert match("clock", names) == "Ardour:MIDI Clock out"
    assert match("pad", names) == "Pad"  # a name that is equal goes before one that contains it
    assert match("loop", names) is None


def test_our_own_ports_are_never_found() -> None:
    names = ["drumvae-in:IAC", "drumvae-out-01:IAC", "drumvae-out:IAC 129:0", "drumvae-probe:x", "IAC:drumvae"]
    assert others(names) == ["IAC:drumvae"]


def test_a_name_opens_the_input_and_the_output_that_contain_it(driver: FakeDriver) -> None:
    ports = Ports("iac", "iac")
    assert (ports.input.found, ports.output.found) == ("IAC Driver Bus 1", "IAC Driver Bus 1")
    assert ports.title == "IAC Driver Bus 1 → IAC Driver Bus 1 (JACK)"
    ports.close()
    assert all(made.deleted for made in driver.made)


def test_where_none_matches_virtual_ports_of_that_name_are_made(driver: FakeDriver) -> None:
    ports = Ports("Drummer", "Drummer")
    assert [made.virtual for made in driver.made if made.virtual] == ["Drummer", "Drummer"]
    assert ports.title == "Drummer (virtual) → Drummer (virtual) (JACK)"
    ports.close()


def test_input_and_output_may_differ(driver: FakeDriver) -> None:
    ports = Ports("ardour", "synth")
    assert (ports.input.found, ports.output.found) == ("Ardour:MIDI Clock out", "Synth:in")
    ports.close()


def test_a_virtual_output_is_never_connected_to_our_own_virtual_input(driver: FakeDriver) -> None:
    """CoreMIDI lists a program's own virtual ports under their bare names."""
    driver.compiled = [driver.API_MACOSX_CORE]
    sys.platform = "darwin"
    ports = Ports("Drummer", "Drummer")
    driver.outputs.append("Drummer")
    ports.output.lost = True
    assert ports.output.reopen()
    assert ports.output.found is None
    assert driver.made[-1].virtual == "Drummer"
    ports.close()


def test_the_clock_is_not_filtered_away(driver: FakeDriver) -> None:
    ports = Ports("Keys", "Synth")
    opened = next(made for made in driver.made if made.opened == "Keys:out")
    assert opened.ignored == {"sysex": True, "timing": False, "active_sense": True}
    ports.close()


def test_what_arrives_is_stamped_on_arrival_and_kept_in_order(driver: FakeDriver) -> None:
    times = iter([1.0, 2.0])
    port = InPort(find_backend(), "Keys", lambda: next(times))
    port.open(["Keys:out"])
    callback = driver.made[-1].callback
    assert callback is not None
    callback(([0xF8], 0.0), None)
    callback(([0x99, 36, 100], 0.5), None)
    assert port.poll(9.0) == [(1.0, b"\xf8"), (2.0, bytes((0x99, 36, 100)))]
    assert port.poll(9.0) == []


def test_a_lost_port_is_told_of_once_looked_for_and_opened_again(driver: FakeDriver) -> None:
    ports = Ports("Keys", "Synth")
    assert ports.watch() == []
    driver.outputs.remove("Synth:in")
    ports.output.send(b"\x99\x24\x40")  # fails quietly: the music stops there, the drummer does not
    assert ports.watch() == [] or ports.output.lost
    driver.inputs.remove("Keys:out")
    assert ports.watch() == ["The input port Keys:out is gone; it will be opened again when it returns."]
    assert ports.watch() == []
    assert ports.title == "Keys:out (lost) → Synth:in (lost) (JACK)"
    driver.inputs.append("Keys:out")
    driver.outputs.append("Synth:in")
    assert ports.watch() == ["The input port Keys:out is back.", "The output port Synth:in is back."]
    ports.output.send(b"\x99\x24\x40")
    assert driver.made[-1].sent == [b"\x99\x24\x40"]
    assert ports.watch() == []
    ports.close()


def test_ports_are_listed_without_our_own(driver: FakeDriver) -> None:
    driver.inputs.append("drumvae-out:x")
    ports = list_ports()
    assert (ports.backend, ports.inputs) == ("JACK", ("Keys:out", "Ardour:MIDI Clock out", "IAC Driver Bus 1"))
    assert ports.outputs == ("Synth:in", "IAC Driver Bus 1")
    assert all(made.deleted for made in driver.made)


def test_windows_cannot_create_ports_and_says_what_can(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(driver, monkeypatch)
    with pytest.raises(PortError, match=r"No input port contains 'Drummer'; there is Keys:out, .* install loopMIDI .* --port"):
        Ports("Drummer", "Drummer")
    assert all(made.deleted for made in driver.made)


def test_a_port_that_is_taken_is_told_of(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(driver, monkeypatch).refuse_open = True
    with pytest.raises(PortError, match=r"input port 'Keys' cannot be opened .* close it there"):
        Ports("Keys", "Synth")


def test_without_rtmidi_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(PortError, match="pip install python-rtmidi"):
        list_ports()


def test_linux_takes_alsa_where_it_has_a_sequencer_and_jack_elsewhere(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver.compiled = [2, 3]
    monkeypatch.setattr(backends, "ALSA_SEQUENCER", tmp_path / "seq")
    assert find_backend().name == "jack"
    (tmp_path / "seq").touch()
    assert find_backend().name == "alsa"
    assert find_backend("jack").name == "jack"


def test_no_midi_system_is_one_sentence(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(api: int, name: str) -> None:
        raise driver.RtMidiError("no server")

    driver.MidiIn = refuse
    with pytest.raises(PortError, match=r"No MIDI system answers on this machine \(JACK does not answer\).* --demo"):
        find_backend()


@pytest.mark.parametrize(("wanted", "sentence"), [("jakc", "did you mean jack"), ("windows", "built without windows")])
def test_a_backend_that_is_not_there_is_told_of(driver: FakeDriver, wanted: str, sentence: str) -> None:
    with pytest.raises(PortError, match=sentence):
        find_backend(wanted)


def test_what_c_libraries_write_to_stderr_stays_off_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"ALSA lib seq_hw.c:466")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
