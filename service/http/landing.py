"""The page at /: what this is, where to go, and a form to try it."""

from html import escape

from service.schemas import Welcome

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem;
  color: #222; background: #fff; }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; background: #f4f4f4; border-radius: 4px; }}
code {{ padding: 0 .25em; }}
pre {{ padding: .75rem 1rem; overflow-x: auto; }}
dt {{ float: left; clear: left; width: 7rem; }}
dd {{ margin: 0 0 .25rem 7rem; }}
</style>
</head>
<body>
<h1>{name} <small>{version}</small></h1>
<p>{description}</p>
<form action="/predict" method="post" enctype="multipart/form-data">
<label>An image: <input type="file" name="image" accept="image/*" required></label>
<button>Predict</button>
</form>
<p>Or from a terminal:</p>
<pre>curl -F image=@photo.jpg {base_url}predict</pre>
<dl>
{links}
</dl>
</body>
</html>
"""


def landing_page(welcome: Welcome, base_url: str) -> str:
    """The page as HTML; `base_url` ends with a slash."""
    links = "\n".join(
        f'<dt>{escape(what)}</dt><dd><a href="{escape(path)}">{escape(path)}</a></dd>'
        for what, path in welcome.links.items()
        if what != "predict"
    )
    return _PAGE.format(
        name=escape(welcome.name),
        version=escape(welcome.version),
        description=escape(welcome.description),
        base_url=escape(base_url),
        links=links,
    )
