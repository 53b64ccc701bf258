"""The program `trustserve`, also as `python -m service`."""

from service import garbage


def main() -> None:
    """Runs the command line."""
    # Importing takes a second; looking through what is imported again and again took a fifth of it.
    with garbage.kept():
        from service.cli import main as run
    run()


if __name__ == "__main__":
    main()
