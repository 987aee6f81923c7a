"""Plays an exported model with ONNX Runtime and NumPy alone, as a program in another language would.

From drumvae only the path of the shipped bundle is taken. bundle.json describes every input under its name.
Run: python examples/bundle_by_hand.py
"""

import json

import numpy as np
import onnxruntime

from drumvae.bundle.format import default_bundle

SEED = 3
folder = default_bundle()  # any folder with bundle.json and decoder.onnx
info = json.loads((folder / "bundle.json").read_text("utf-8"))
voices = info["voices"]

# 1. The input. B = 1 loop, S = 64 steps, 9 voices. A zero means "not given" for almost every input.
decoder = onnxruntime.InferenceSession(str(folder / "decoder.onnx"), providers=["CPUExecutionProvider"])
inputs = {}
for entry in decoder.get_inputs():
    shape = [axis if isinstance(axis, int) else 1 for axis in entry.shape]
    inputs[entry.name] = np.zeros(shape, np.float32)

# 2. The random numbers. The graph draws none, so the same inputs always give the same loop.
draw = np.random.default_rng(SEED)
inputs["noise"][:] = draw.random(inputs["noise"].shape)  # uniform: decides which hits are drawn
inputs["note_noise"][:] = draw.standard_normal(inputs["note_noise"].shape)  # normal: how each hit is played
inputs["loop_noise"][:] = draw.standard_normal(inputs["loop_noise"].shape)  # normal: how the whole loop is played
inputs["expression_temperature"][:] = 1  # spread of velocity and offset, as in the data
inputs["temperature"][:] = info["temperature"]  # spread of the hits
inputs["thresholds"][:] = 0.5  # leaves the probabilities as they are
inputs["density"][:] = info["densities"][5]  # hits a bar: the median of the data
inputs["bpm"][:] = 120
inputs["style"][0, info["styles"].index("jazz")] = 1

# 3. One run writes a whole loop: for each step nine hits, nine velocities and nine offsets.
(groove,) = decoder.run(["groove"], inputs)
hits, velocities, offsets = np.split(groove[0], 3, axis=1)  # each (64, 9)
for voice, name in enumerate(voices):
    letters = [
        ".-xX"[1 + min(int(3 * velocity), 2) if hit else 0] for hit, velocity in zip(hits[:, voice], velocities[:, voice], strict=True)
    ]
    if hits[:, voice].any():
        print(f"{name:<10} {''.join(letters)}")
is_hit = hits > 0
late_steps = offsets[is_hit].mean() / 2  # an offset of 1 is half a sixteenth; positive is late
print(f"{int(hits.sum())} hits, mean velocity {127 * velocities[is_hit].mean():.0f}, mean offset {late_steps:+.3f} steps")
