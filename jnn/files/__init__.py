"""What is kept: networks and checkpoints; whole or not at all."""

from jnn.files.cadence import Checkpoint as Checkpoint
from jnn.files.networks import load as load, save as save
