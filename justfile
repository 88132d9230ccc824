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

# all tests that need no broker and do not take long
test *options:
    uv run pytest -q -n 4 --dist loadfile {{options}}

# the contract on one broker, or on all
contract broker="*":
    uv run pytest integration/test_contract_{{broker}}.py --brokers=auto --require-brokers

# everything that needs a broker
integration:
    uv run pytest integration -m "not install" --brokers=auto --require-brokers

# what production does to every driver, done on purpose; ends with a table
faults *options:
    uv run pytest integration/faults --brokers=local --require-brokers --slow --all-drivers -n 4 {{options}}

# mixed work with faults at random, on a private server of one driver
soak driver minutes="10":
    uv run python -m integration.faults.soak --driver {{driver}} --minutes {{minutes}}

# one package with only what it declares
isolated name:
    uv run --isolated --package asynctasq-{{name}} --no-dev --with 'pytest>=8' --with 'anyio>=4.4' --with pytest-timeout --with hypothesis python -m pytest packages/asynctasq-{{name}} --brokers=local

# wheels, installed in clean environments
build:
    uv run pytest integration/test_install.py --slow

# the documentation as a site, in site/
docs:
    NO_MKDOCS_2_WARNING=1 uv run --isolated --only-group docs mkdocs build

# its reference pages, from the code
reference:
    uv run python -m integration.documentation.reference

# its pictures of the terminal, from real commands
record:
    uv run python -m integration.documentation.record

# known vulnerabilities of what users install, by osv.dev; it needs the network
audit:
    uv audit --preview-features audit-command --locked --no-dev

# side by side with other queues
bench broker:
    uv run python -m benchmarks {{broker}}

# all that CI runs, or some groups of it: check demo docs readme isolated oldest containers flakiest
ci *groups:
    bash .ci/run {{groups}}
