"""Versions out of what MLflow writes beside a model."""

from mltrail_server.domain import environment


def test_pinned_packages_and_python() -> None:
    requirements = "torch==2.9.1\nScikit_Learn[extra]==1.7.0 ; python_version > '3'\nnumpy>=2\n# x==1\n-r other.txt\n"
    found = environment.read(
        {"requirements.txt": requirements, "python_env.yaml": "python: 3.11.7\nbuild_dependencies:\n"}
    )
    assert found == {"python": "3.11.7", "torch": "2.9.1", "scikit-learn": "1.7.0"}


def test_anything_else_is_no_version() -> None:
    assert environment.read({"requirements.txt": "\x00==\n==1\nx==\n" * 3, "python_env.yaml": "- [python"}) == {}
