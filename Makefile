# make run: from nothing to a served model.  make test: the fast tests.  make check: format, lint, fast and longer tests,
# as CI does.
# make parity: our networks against torchvision, timm, keras.applications and the papers' tables, with the same weights.
.PHONY: install run test check format lint slow notebooks parity bench seeds folds serve lock clean
PYTHON ?= python3
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

install: .venv/installed

# a change of the lock file alone brings the environment up to date
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	    f"error: python {v[0]}.{v[1]} is not supported by TensorFlow 2.21; use PYTHON=python3.11, 3.12 or 3.13")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install
	@$(BIN)/python -m apps.digits demo
	@$(BIN)/python -m apps.images predict docs/images/cat.jpg --out saved_models/cifar10_fast

# one process a core already: more threads would wait for each other, a fifth longer in all
PYTEST := TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadscope
test: install
	$(PYTEST)

slow: install
	$(BIN)/python -m pytest -q -m slow

# minutes: with MNIST and the LGG MRI segmentation data under TFDS_DATA_DIR, and caltech101_10_classes here, which
# docs/results.md describes
notebooks: install
	$(BIN)/python docs/notebooks/run.py

check: install lint
	$(PYTEST) -m "not slow and not parity"

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# PyTorch and its networks are only compared with, in an environment of their own
.venv-bench/installed:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 \
	    timm==1.0.31 monai==1.6.1 scipy numpy
	@touch $@

# half an hour: every network or one of its family
parity: install .venv-bench/installed
	@mkdir -p runs
	$(BIN)/python -m pytest -q -m parity
	$(BIN)/python benchmarks/parity.py > runs/parity.txt
	@grep -v '^{' runs/parity.txt
	@tail -n 1 runs/parity.txt > benchmarks/results/parity.json

# on an idle machine; a result replaces the last one only when its benchmark has ended well
BENCHMARKS := help_latency fit_overhead pipeline_rate image_folder photo_pipeline nearest doubtful_labels \
    training_rate time_to_99 \
    predict_latency serving_latency server_load server_heavy server_memory read_sheets training_step network_speed mask_speed \
    memory_estimate
bench: install .venv-bench/installed
	@mkdir -p runs
	@for name in $(BENCHMARKS); do \
	    $(BIN)/python benchmarks/$$name.py > runs/$$name.json && mv runs/$$name.json benchmarks/results/ || exit 1; \
	    cat benchmarks/results/$$name.json; \
	done

# hours: the test error over three seeds
seeds: install
	@mkdir -p runs
	$(BIN)/python benchmarks/seeds.py lenet5 > runs/lenet5.json
	$(BIN)/python benchmarks/seeds.py vgg_digits > runs/vgg_digits.json
	$(BIN)/python benchmarks/seeds.py vgg_digits_weaker > runs/vgg_digits_weaker.json
	mv runs/lenet5.json runs/vgg_digits.json runs/vgg_digits_weaker.json benchmarks/results/

# nine hours: the Dice of every patient, from a network that has not seen the patient; goes on where it was stopped
folds: install
	$(BIN)/python -m apps.tumors crossvalidate --precision mixed_bfloat16
	cp runs/tumors_folds/crossvalidation.json benchmarks/results/tumors_folds.json
	$(BIN)/python -m apps.tumors crossvalidate --recipe unet_buda_short --precision mixed_bfloat16 \
	    --out runs/tumors_folds_short
	cp runs/tumors_folds_short/crossvalidation.json benchmarks/results/tumors_folds_short.json
	$(BIN)/python -m apps.tumors crossvalidate --recipe unet_buda_ensemble --precision mixed_bfloat16 \
	    --out runs/tumors_folds_ensemble
	cp runs/tumors_folds_ensemble/crossvalidation.json benchmarks/results/tumors_folds_ensemble.json

serve: install
	@$(BIN)/python -m kerascnn.serving.server

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --upgrade pyproject.toml --extra dev \
	    -o requirements.lock

clean:
	rm -rf .venv .venv-bench
