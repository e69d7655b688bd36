"""`python -m fastsmtp` is the command `fastsmtp`."""

from __future__ import annotations

from fastsmtp.cli.main import main

if __name__ == "__main__":
    main(prog_name="fastsmtp")
