"""drumvae: a drummer that plays along through a virtual MIDI port.

.mid - midifile - Grid - tensors - models + trainer - checkpoint - export - bundle
                   |                                                          |
  DAW - ports - clock - timebase - recorder - Grid - generator - engine <----+
                          +--------- player <--------- Grid - ports - DAW
"""

__version__ = "0.1.0"
