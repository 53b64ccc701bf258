"""What trust is: the ground on which service and training both stand. numpy, pydantic and pillow only."""
