"""Binds three knobs and a pad to actions, and reads MIDI messages through the map.

Run: python examples/knob_map.py
Then: drumvae-live --controls scratch/knobs.toml
"""

from pathlib import Path

from drumvae.live.controls.mapping import ControllerValues
from drumvae.live.controls.mapping_file import read_map
from drumvae.live.controls.state import ControlState

OUT = Path("scratch")
KNOBS = """\
# Controllers move amounts. The key is a CC number, or "CHANNEL:NUMBER" for one channel alone.
[cc]
21 = "density"
22 = "swing"
"1:23" = "humanize"

# Pads trigger actions. drumvae-live --list-controls prints all of them.
[note]
"10:37" = "mute crash"
"""

OUT.mkdir(exist_ok=True)
path = OUT / "knobs.toml"
path.write_text(KNOBS, "utf-8")
mapping = read_map(path)  # an unknown action, a doubled key or a wrong channel is refused with one sentence

controls = ControlState()  # everything a player can turn, as one frozen value
positions = ControllerValues()  # the last value of every controller, so that a button press is a rise through 64
for message in (
    bytes((0xB0, 21, 127)),  # CC 21 to its maximum
    bytes((0xB0, 22, 64)),  # CC 22 to its centre
    bytes((0xB1, 23, 0)),  # CC 23 on channel 2: not bound
    bytes((0xB0, 23, 32)),  # CC 23 on channel 1
    bytes((0x99, 37, 100)),  # the pad: note 37 on channel 10
):
    event = mapping.read(message, positions)
    if event is None:
        print(f"{message.hex(' ')}  not bound")
        continue
    controls = controls.after(event)
    value = "pressed" if event.value is None else f"{event.value:.2f}"
    print(f"{message.hex(' ')}  {event.action.name}: {value}")

muted = sorted(controls.muted_voices)
print(f"density {controls.density:.2f}, swing {controls.swing:.2f}, humanize {controls.humanize:.2f}, muted voices {muted}")
