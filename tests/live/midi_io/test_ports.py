"""Tests finding, opening, losing and reopening MIDI ports with a fake driver."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.fakes import FakeDriver as Driver
from helpers.fakes import _FakeMidi

from drumvae.live.midi_io import backends, jack
from drumvae.live.midi_io.backends import find_backend, quiet
from drumvae.live.midi_io.jack import ServerWatch
from drumvae.live.midi_io.port import InPort
from drumvae.live.midi_io.port_names import match, match_again, without_own, without_system_numbers
from drumvae.live.midi_io.port_pair import Ports, list_ports
from drumvae.util.errors import PortError


class FakeMidi(_FakeMidi):
    """An rtmidi object that can be closed and opened again, like the real one: not twice in a row, and only with another callback."""

    def open_port(self, port: int, name: str) -> None:
        assert self.opened is None
        assert not self.deleted
        super().open_port(port, name)

    def open_virtual_port(self, name: str) -> None:
        assert self.virtual is None
        assert not self.deleted
        super().open_virtual_port(name)

    def close_port(self) -> None:
        self.opened = None
        self.cancel_callback()

    def cancel_callback(self) -> None:
        assert not self.deleted
        self.callback = None

    def delete(self) -> None:
        assert self.callback is None, "a callback may wait for the interpreter lock, which this call holds"
        super().delete()


class FakeDriver(Driver):
    """The driver with such objects."""

    def __init__(self, *names: Sequence[str]) -> None:
        super().__init__(*names)
        self.MidiIn = lambda api, name: FakeMidi(self, self.inputs, name)
        self.MidiOut = lambda api, name: FakeMidi(self, self.outputs, name)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A JACK server with a keyboard, a synthesizer and a sequencer."""
    driver = FakeDriver(["Keys:out", "Ardour:MIDI Clock out", "IAC Driver Bus 1"], ["Synth:in", "IAC Driver Bus 1"])
    monkeypatch.setitem(sys.modules, "rtmidi", driver)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(jack, "SOCKET_FOLDERS", ())  # ignores a server of this machine
    return driver


class OpenPorts(Ports):
    """Ports that give a test their two rtmidi objects."""

    @property
    def made(self) -> tuple[Any, Any]:
        return self.input._midi, self.output._midi


def on_windows(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver.compiled = [driver.API_WINDOWS_MM]
    monkeypatch.setattr(sys, "platform", "win32")
    return driver


def test_a_port_is_found_by_part_of_its_name_ignoring_case() -> None:
    names = ["IAC Driver Bus 1", "drum pad", "Pad", "Ardour:MIDI Clock out"]
    assert match("clock", names) == "Ardour:MIDI Clock out"
    assert match("pad", names) == "Pad"  # an equal name goes before one that contains it
    assert match("loop", names) is None


def test_our_own_ports_are_never_found() -> None:
    names = ["drumvae-in:IAC", "drumvae-out-01:IAC", "drumvae-out:IAC 129:0", "drumvae-probe:x", "IAC:drumvae"]
    assert without_own(names) == ["IAC:drumvae"]
    assert without_own(["", "Keys:out"]) == ["Keys:out"]  # a port that vanished during the listing has no name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Launchpad:Launchpad MIDI 1 20:0", "Launchpad:Launchpad MIDI 1 128:0"),  # ALSA
        ("Ardour:MIDI Clock out", "Ardour-01:MIDI Clock out"),  # JACK
        ("TD-17", "2- TD-17"),  # Windows
    ],
)
def test_a_number_chosen_by_the_system_is_not_part_of_a_name(one: str, other: str) -> None:
    assert without_system_numbers(one) == without_system_numbers(other)
    assert match(one, ["Keys:out", other]) == other
    assert match_again("x", one, ["Keys:out", other], {"Keys:out"}) == other


def test_a_number_that_distinguishes_ports_is_part_of_a_name() -> None:
    names = ["IAC Driver Bus 1", "IAC Driver Bus 2", "system:midi_capture_1"]
    assert [without_system_numbers(name) for name in names] == names
    assert match("bus 2", names) == "IAC Driver Bus 2"


def test_a_lost_port_is_not_replaced_by_another_match_that_existed_before() -> None:
    other_names = {"Drum Pad 24:0"}
    assert match_again("pad", "Launchpad 20:0", ["Drum Pad 24:0"], other_names) is None
    assert match_again("pad", "Launchpad 20:0", ["Drum Pad 24:0", "Launchpad 28:0"], other_names) == "Launchpad 28:0"
    assert match_again("pad", "Launchpad 20:0", ["Drum Pad 24:0", "MPD Pad 28:0"], other_names) == "MPD Pad 28:0"  # a replacement
    assert match_again("pad", "Pad 20:0", ["Pad 24:0"], {"Pad 24:0"}) is None  # its twin


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "\udcff"])
def test_an_invalid_name_is_one_sentence(driver: FakeDriver, name: str) -> None:
    with pytest.raises(PortError, match=r"is not a valid name of an output port: type drumvae-live --list-ports"):
        Ports("Keys", name)
    assert all(made.deleted for made in driver.made)


def test_a_name_too_long_for_a_new_port_is_one_short_sentence(driver: FakeDriver) -> None:
    with pytest.raises(PortError, match=r"there is Keys:out, .* 400 letters are too many .* type at most 64") as error:
        Ports("x" * 400, "Synth")
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("name", ["é漢字", "a:b", "-", "%s"])
def test_any_printable_text_can_name_a_port(driver: FakeDriver, name: str) -> None:
    ports = Ports(name, name)
    assert [made.virtual for made in driver.made if made.virtual] == [name, name]
    ports.close()


def test_a_name_opens_the_input_and_the_output_that_contain_it(driver: FakeDriver) -> None:
    ports = Ports("iac", "iac")
    assert (ports.input.connected_name, ports.output.connected_name) == ("IAC Driver Bus 1", "IAC Driver Bus 1")
    assert ports.title == "IAC Driver Bus 1 → IAC Driver Bus 1 (JACK)"
    ports.close()
    assert all(made.deleted for made in driver.made)


def test_without_a_match_virtual_ports_of_that_name_are_created(driver: FakeDriver) -> None:
    ports = Ports("Drummer", "Drummer")
    assert [made.virtual for made in driver.made if made.virtual] == ["Drummer", "Drummer"]
    assert ports.title == "Drummer (virtual) → Drummer (virtual) (JACK)"
    ports.close()


def test_input_and_output_may_differ(driver: FakeDriver) -> None:
    ports = Ports("ardour", "synth")
    assert (ports.input.connected_name, ports.output.connected_name) == ("Ardour:MIDI Clock out", "Synth:in")
    ports.close()


def test_a_virtual_output_is_never_connected_to_our_own_virtual_input(driver: FakeDriver) -> None:
    """CoreMIDI lists a program's own virtual ports under their bare names."""
    driver.compiled = [driver.API_MACOSX_CORE]
    sys.platform = "darwin"
    ports = OpenPorts("Drummer", "Drummer")
    driver.outputs.append("Drummer")
    ports.output.lost = True
    assert ports.output.reopen()
    assert ports.output.connected_name is None
    assert ports.made[1].virtual == "Drummer"
    ports.close()


def test_virtual_ports_instead_of_the_iac_bus_come_with_a_hint(driver: FakeDriver) -> None:
    driver.compiled = [driver.API_MACOSX_CORE]
    sys.platform = "darwin"
    existing, created = Ports("iac", "iac"), Ports("IAC Bus 7", "iac")
    assert existing.hint is None
    assert "tick Device is online" in str(created.hint)
    existing.close()
    created.close()


def test_midi_clock_is_not_filtered_out(driver: FakeDriver) -> None:
    ports = Ports("Keys", "Synth")
    opened = next(made for made in driver.made if made.opened == "Keys:out")
    assert opened.ignored == {"sysex": True, "timing": False, "active_sense": True}
    ports.close()


def test_messages_are_timestamped_on_arrival_and_kept_in_order(driver: FakeDriver) -> None:
    times = iter([1.0, 2.0])
    port = InPort(find_backend(), "Keys", lambda: next(times))
    port.open(["Keys:out"])
    callback = driver.made[-1].callback
    assert callback is not None
    callback(([0xF8], 0.0), None)
    callback(([0x99, 36, 100], 0.5), None)
    assert port.poll(9.0) == [(1.0, b"\xf8"), (2.0, bytes((0x99, 36, 100)))]
    assert port.poll(9.0) == []


def test_an_empty_message_is_dropped(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    ports.made[0].callback(([], 0.0), None)
    ports.made[0].callback(([0xF8], 0.0), None)
    assert [arrival.message for arrival in ports.input.poll(0.0)] == [b"\xf8"]
    ports.close()


NOTE = b"\x99\x24\x40"


def test_a_lost_input_is_reported_once_and_reopened(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    assert ports.watch() == []
    driver.inputs.remove("Keys:out")
    assert ports.watch() == ["The input port Keys:out is gone; it will be opened again when it returns."]
    assert ports.watch() == []
    assert ports.title == "Keys:out (lost) → Synth:in (JACK)"
    driver.inputs.append("Keys:out")
    assert ports.watch() == ["The input port Keys:out is back."]
    assert ports.made[0].opened == "Keys:out"
    ports.made[0].callback(([0xF8], 0.0), None)
    assert [arrival.message for arrival in ports.input.poll(0.0)] == [b"\xf8"]
    assert ports.made[0].ignored["timing"] is False
    assert ports.watch() == []
    assert (ports.loss_count, ports.input.reconnect_count, ports.output.reconnect_count) == (1, 1, 0)
    ports.close()
    assert all(made.deleted for made in driver.made)


def test_an_output_that_fails_is_lost_and_messages_sent_meanwhile_are_dropped(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    driver.outputs.remove("Synth:in")
    ports.output.send(NOTE)  # fails silently: the port is gone, the session goes on
    assert ports.watch() == ["The output port Synth:in is gone; it will be opened again when it returns."]
    driver.outputs.append("Synth:in")
    ports.output.send(NOTE)
    assert ports.made[1].sent == []
    assert ports.watch() == ["The output port Synth:in is back."]
    ports.output.send(NOTE)
    assert ports.made[1].sent == [NOTE]
    ports.close()


def test_a_reopened_output_sends_note_offs_for_every_note_that_may_still_sound(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    for message in (NOTE, b"\x89\x24\x00", b"\x99\x26\x40", b"\xb9\x01\x00"):
        ports.output.send(message)  # the last note-off may have been sent after the cable was unplugged
    driver.outputs.remove("Synth:in")
    ports.watch()
    for message in (b"\x89\x26\x00", b"\x99\x2a\x40"):
        ports.output.send(message)
    driver.outputs.append("Synth:in")
    sent = len(ports.made[1].sent)
    ports.watch()
    assert ports.made[1].sent[sent:] == [b"\x89\x24\x00", b"\x89\x26\x00"]
    assert ports.output.reconnect_count == 1
    ports.close()


def test_both_ports_may_be_lost_and_one_may_return_first(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    driver.inputs.clear()
    driver.outputs.clear()
    assert len(ports.watch()) == 2
    driver.outputs.append("Synth:in")
    assert ports.watch() == ["The output port Synth:in is back."]
    driver.inputs.append("Keys-01:out")
    assert ports.watch() == ["The input port Keys-01:out is back."]
    assert ports.title == "Keys-01:out → Synth:in (JACK)"
    ports.close()


def test_a_port_that_returns_at_once_under_another_number_is_reopened(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    assert ports.watch() == []
    driver.outputs[driver.outputs.index("Synth:in")] = "Synth-01:in"
    assert ports.watch() == [
        "The output port Synth:in is gone; it will be opened again when it returns.",
        "The output port Synth-01:in is back.",
    ]
    assert ports.made[1].opened == "Synth-01:in"
    ports.close()


def test_a_port_that_cannot_be_reopened_is_tried_again(driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Synth")
    driver.inputs.remove("Keys:out")
    ports.watch()
    driver.inputs.append("Keys:out")
    driver.refuse_open = True
    assert ports.watch() == []
    assert ports.watch() == []
    driver.refuse_open = False
    assert ports.watch() == ["The input port Keys:out is back."]
    assert ports.made[0].opened == "Keys:out"
    ports.close()
    assert all(made.deleted for made in driver.made)


def test_a_windows_port_is_still_present_when_its_number_changes(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(driver, monkeypatch)
    driver.inputs[:], driver.outputs[:] = ["Keys 0", "loopMIDI Port 1 1"], ["Synth 0", "loopMIDI Port 1 1"]
    ports = OpenPorts("loopmidi", "loopmidi")
    assert ports.input.connected_name == "loopMIDI Port 1"  # the name that every DAW shows
    driver.inputs[:], driver.outputs[:] = ["loopMIDI Port 1 0"], ["loopMIDI Port 1 0"]
    assert ports.watch() == []
    ports.close()


@pytest.fixture
def server(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["Server"]:
    """The socket that jackd listens on."""
    monkeypatch.setattr(jack, "SOCKET_FOLDERS", (tmp_path,))
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "stage")
    server = Server(tmp_path / f"jack_stage_{os.getuid()}_0")
    server.start()
    yield server
    server.die()


class Server:
    """Listens like jackd, and never responds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()

    def die(self) -> None:
        """Ends like a killed server: the socket's name stays."""
        self._listener.close()


unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX") or not hasattr(os, "getuid"), reason="jackd listens on a Unix socket")


@unix
def test_the_server_watch_breaks_when_the_server_dies_and_not_before(server: Server) -> None:
    watch = ServerWatch()
    assert not watch.is_broken()  # not connected yet
    assert watch.connect()
    assert not watch.is_broken()
    server.die()
    assert watch.is_broken()
    assert watch.is_broken()
    assert not watch.connect()
    assert not watch.is_broken()
    server.start()
    assert watch.connect()
    watch.close()


@unix
def test_when_a_jack_server_dies_both_ports_are_closed_before_any_is_opened(server: Server, driver: FakeDriver) -> None:
    ports = OpenPorts("Drummer", "Drummer")
    made = [midi for midi in driver.made if midi.virtual]
    server.die()
    server.start()  # it is back before the ports are watched again
    assert ports.watch() == ["The JACK server is gone; the ports will be opened again when it returns."]
    assert all(midi.deleted for midi in driver.made)
    ports.output.send(NOTE)
    assert ports.watch() == []  # it listens, but may not run yet
    assert all(midi.deleted for midi in driver.made)
    assert ports.watch() == ["The JACK server is back: Drummer (virtual) → Drummer (virtual) (JACK)."]
    assert [midi.virtual for midi in ports.made] == ["Drummer", "Drummer"]
    assert not set(ports.made) & set(made)
    assert (ports.loss_count, ports.input.reconnect_count, ports.output.reconnect_count) == (1, 1, 1)
    assert ports.watch() == []
    ports.output.send(NOTE)
    assert ports.made[1].sent == [NOTE]
    ports.close()


@unix
def test_while_a_jack_server_is_dead_its_library_is_not_called(server: Server, driver: FakeDriver) -> None:
    ports = OpenPorts("Keys", "Drummer")
    server.die()
    ports.watch()
    calls = len(driver.made)
    assert [ports.watch() for _ in range(3)] == [[], [], []]
    assert len(driver.made) == calls
    assert ports.title == "Keys:out (lost) → Drummer (lost) (JACK)"
    server.start()
    driver.inputs.remove("Keys:out")  # it returns later
    assert ports.watch() == []
    assert ports.watch() == ["The JACK server is back: Keys:out (lost) → Drummer (virtual) (JACK)."]
    driver.inputs.append("Keys:out")
    assert ports.watch() == ["The input port Keys:out is back."]
    ports.close()
    assert all(midi.deleted for midi in driver.made)


@unix
def test_a_server_that_listens_before_it_responds_is_tried_again(
    server: Server, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = OpenPorts("Drummer", "Drummer")
    server.die()
    ports.watch()
    server.start()

    def refuse(api: int, name: str) -> None:
        raise driver.RtMidiError("not yet")

    make = driver.MidiIn, driver.MidiOut
    driver.MidiIn = driver.MidiOut = refuse
    assert [ports.watch() for _ in range(3)] == [[], [], []]
    driver.MidiIn, driver.MidiOut = make
    server.die()
    server.start()  # it dies once more before the ports are open
    assert ports.watch() == []
    assert len(ports.watch()) == 1
    assert not ports.input.lost
    assert not ports.output.lost
    ports.close()


def test_a_jack_server_other_than_jackd_is_used_without_a_server_watch(driver: FakeDriver) -> None:
    ports = OpenPorts("Drummer", "Drummer")
    assert ports.watch() == []
    ports.close()


def test_the_list_of_ports_leaves_out_our_own(driver: FakeDriver) -> None:
    driver.inputs.append("drumvae-out:x")
    ports = list_ports()
    assert (ports.backend, ports.inputs) == ("JACK", ("Keys:out", "Ardour:MIDI Clock out", "IAC Driver Bus 1"))
    assert ports.outputs == ("Synth:in", "IAC Driver Bus 1")
    assert all(made.deleted for made in driver.made)


def test_on_windows_a_missing_port_comes_with_what_to_install(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(driver, monkeypatch)
    with pytest.raises(
        PortError,
        match=r"No input port contains 'Drummer'; there is Keys:out, .* install loopMIDI \(or use Windows MIDI Services\).* --port",
    ):
        Ports("Drummer", "Drummer")
    assert all(made.deleted for made in driver.made)


def test_a_port_in_use_is_reported(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(driver, monkeypatch).refuse_open = True
    with pytest.raises(PortError, match=r"input port 'Keys' cannot be opened .* close it there"):
        Ports("Keys", "Synth")


def test_without_rtmidi_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(PortError, match="pip install python-rtmidi"):
        list_ports()


def test_linux_uses_alsa_where_it_has_a_sequencer_and_jack_otherwise(
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
    with pytest.raises(PortError, match=r"No MIDI system responds on this machine \(JACK does not respond\).* --demo"):
        find_backend()


@pytest.mark.parametrize(("requested", "sentence"), [("jakc", "did you mean jack"), ("windows", "built without windows")])
def test_an_unavailable_backend_is_reported(driver: FakeDriver, requested: str, sentence: str) -> None:
    with pytest.raises(PortError, match=sentence):
        find_backend(requested)


def test_the_output_of_c_libraries_to_stderr_is_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"ALSA lib seq_hw.c:466")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
