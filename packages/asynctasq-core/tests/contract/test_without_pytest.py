import subprocess
import sys


def test_importing_the_contract_without_pytest_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest'] = None; import asynctasq.testing.contract"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].endswith("pip install 'asynctasq-core[testing]'")
