# what there is to run
default:
    @just --list

# set up everything
setup:
    uv sync --all-packages --all-extras

# format, lint, types, imports
check:
    uv run ruff format --check && uv run ruff check
    uv run pyright && uv run lint-imports

# format and mend what can be mended
fix:
    uv run ruff format && uv run ruff check --fix

# unit tests: they need nothing but Python
test:
    uv run pytest packages/asynctasq-core packages/asynctasq-cli

# the contract on one broker
contract broker:
    uv run pytest integration/test_contract_{{broker}}.py packages/asynctasq-{{broker}} --require-brokers

# everything that needs a broker
integration:
    uv run pytest integration -m "not install" --require-brokers

# one package with only what it declares
isolated name:
    uv run --isolated --package asynctasq-{{name}} --with 'asynctasq-core[testing]' --with pytest-timeout python -m pytest packages/asynctasq-{{name}}

# wheels, installed in clean environments
build:
    uv run pytest integration/test_install.py

# side by side with other queues
bench broker:
    uv run python -m benchmarks {{broker}}
