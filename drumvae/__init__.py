"""A drummer for DAWs: it follows MIDI clock and plays loops of a neural network.

Training:  .mid -> midi -> Grid -> music.encoding -> models, trainer -> checkpoint -> export -> bundle
Playing:   DAW -> live.midi_io -> live.clock -> recorder -> Grid -> live.generation -> inference.Engine (reads the bundle)
           Engine -> Grid -> player (on the clock's Timeline) -> live.midi_io -> DAW

docs/architecture.md describes every package.
"""

__version__ = "0.1.0"
