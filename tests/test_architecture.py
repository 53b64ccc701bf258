"""The rules of the house, read from the imports: who may know whom."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("trust", "service", "training")
HEAVY = {"torch", "torchvision", "timm", "sklearn", "scipy", "onnxscript"}
FORBIDDEN = {
    "trust": {"service", "training", "onnxruntime", "fastapi", *HEAVY},
    "service": {"training", *HEAVY},
    "training": {"service"},
}


def modules(package: str) -> dict[str, Path]:
    """Modules of a package by dotted name."""
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imports(file: Path) -> set[str]:
    """Dotted names a file imports, anywhere in it; `from a import b` counts as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_nothing_it_must_not_know(package):
    for name, file in modules(package).items():
        known = {imported.split(".")[0] for imported in imports(file)}
        assert not known & FORBIDDEN[package], f"{name} imports {sorted(known & FORBIDDEN[package])}"


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_import_only_downwards(package):
    names = modules(package)
    graph = {name: imports(file) & names.keys() - {name, package} for name, file in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


@pytest.mark.parametrize("package", PACKAGES)
def test_package_file_does_nothing_but_keep_onnxruntime_from_reporting(package):
    statements = ast.parse((ROOT / package / "__init__.py").read_text()).body[1:]
    allowed = ["import os", "os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')"]
    assert [ast.unparse(statement) for statement in statements] == ([] if package == "trust" else allowed)


def test_only_the_settings_read_the_environment():
    for name, file in (modules("service") | modules("trust")).items():
        nodes = list(ast.walk(parsed(file)))
        # os.environ[...] = ... tells a library something.
        written = {node.value for node in nodes if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)}
        named = {node for node in nodes if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")}
        assert not named - written or name in ("service", "service.settings"), f"{name} reads the environment"


def test_nothing_that_serves_unpickles():
    # Reading such a file runs what its writer wrote. numpy refuses to, unless told.
    runs_code = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    for name, file in (modules("service") | modules("trust")).items():
        known = {imported.split(".")[0] for imported in imports(file)}
        assert not known & runs_code, f"{name} imports {sorted(known & runs_code)}"
        assert set(argument_of_calls(file, "np.load", "allow_pickle")) <= {"False"}, f"{name} does not say it to numpy"


def test_training_reads_weights_and_no_code():
    found = []
    for name, file in modules("training").items():
        told = argument_of_calls(file, "torch.load", "weights_only")
        assert set(told) <= {"True"}, f"{name} lets torch unpickle"
        assert set(argument_of_calls(file, "np.load", "allow_pickle")) <= {"False", None}, f"{name} lets numpy unpickle"
        found += told
    assert found


def argument_of_calls(file: Path, function: str, argument: str) -> list[str | None]:
    """How each call of a function, by its dotted name as written, gives a keyword argument; None: not at all."""
    nodes = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)]
    given = [
        {each.arg: ast.unparse(each.value) for each in n.keywords} for n in nodes if ast.unparse(n.func) == function
    ]
    return [each.get(argument) for each in given]
