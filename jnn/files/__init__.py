"""What is kept: networks, checkpoints and compiled programs; whole or not at all."""

from jnn.files.cadence import Checkpoint as Checkpoint
from jnn.files.compiled import keep_compiled as keep_compiled
from jnn.files.networks import load as load, save as save
