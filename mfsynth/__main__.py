"""`python -m mfsynth`, the same as `mfsynth`."""

from mfsynth.cli import main

if __name__ == "__main__":
    main(prog_name="mfsynth")
