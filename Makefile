# One word per task. The virtual environment is .venv, or $ENHANCED_MEMORY_VENV.
.PHONY: dev check test fault lab soak bench docs

dev:    ## make the environment with every tool, and the link that type checkers read
	@scripts/environment dev

check:  ## lint, format and strict types
	@venv=$$(scripts/environment dev) && "$$venv"/bin/ruff check . && "$$venv"/bin/ruff format --check . \
	&& "$$venv"/bin/pyright --pythonpath "$$venv"/bin/python

test:   ## the whole suite
	@scripts/test

fault:  ## only what is cruel: kills, torn frames, full disks
	@scripts/test tests/fault

lab:    ## the units under a real systemd in a container (root)
	@venv=$$(scripts/environment dev) && tests/lab/run.py --environment "$$venv"

soak:   ## an hour under a steady load, drawn: soak.svg
	@venv=$$(scripts/environment) && "$$venv"/bin/python bench/soak.py --minutes 60

bench:  ## figures, each beside its floor of the same run
	@venv=$$(scripts/environment) && "$$venv"/bin/python bench/report.py

docs:   ## print the generated tables anew
	@venv=$$(scripts/environment) && "$$venv"/bin/python scripts/generate_docs.py
