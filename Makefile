# The pipeline, a line a step; every step is one of the four commands. Change a variable as in
#   make train DATA=photos PRESET=medium RUN=runs/photos NAME=photos

PYTHON ?= python3
NAME   ?= digits
DATA   ?= digits
PRESET ?= small
RUN    ?= runs/$(NAME)
MODELS ?= models
OUT    ?= out/$(NAME).png
PORT   ?= 8500
N      ?= 16
MODEL  ?= $(MODELS)/$(NAME)
WEB    ?= out/web
ARGS   ?=
FETCH  ?= sample --n $(N)

# Of demo-translate, demo-text, demo-clips and demo-detect: where their pictures are, and how long is trained on them.
OPENMOJI ?= out/openmoji
EMOJI    ?= out/emoji
HOPPING  ?= runs/hopping
FAKING   ?= runs/faking
DETECTOR ?= runs/det
JUDGED   ?= out/judged
MINUTES  ?= 8

BIN = .venv/bin

.PHONY: help install install-dev train export serve sample demo demo-translate demo-text demo-clips demo-detect serve-container test lint format bench bench-training bench-device bench-serving bench-client web clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo             train on digits, export, serve, and fetch $(N) images into $(OUT)'
	@echo 'make demo-translate   draw pairs, train on them, export, serve, and translate outlines into out/colour.png'
	@echo 'make demo-text        train on captioned emoji, export, serve, and draw what some words say into out/words.png'
	@echo 'make demo-clips       train on clips of digits that hop, export, serve, and make others hop in out/hopping.gif'
	@echo 'make demo-detect      train on digits, and a detector on what is made of them; export, serve, and ask it'
	@echo 'make train            images → run directory        DATA=$(DATA) PRESET=$(PRESET) RUN=$(RUN) ARGS=…'
	@echo 'make export           run directory → a new version MODELS=$(MODELS) NAME=$(NAME)'
	@echo 'make serve            the embedded server           PORT=$(PORT)'
	@echo 'make sample           images from the server        N=$(N) OUT=$(OUT) ARGS=…'
	@echo 'make web              the generator in a page       MODEL=$(MODEL) WEB=$(WEB)'
	@echo 'make serve-container  TensorFlow Serving, on a GPU where there is one'
	@echo 'make test, make lint, make bench, make clean, and make bench-training, bench-device, bench-serving, bench-client'

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[all]'
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable '.[all,dev]'
	@touch $@

train: install
	$(BIN)/gentrain fit --data $(DATA) --run $(RUN) --preset $(PRESET) $(ARGS)

export: install
	$(BIN)/genexport publish $(RUN) --repository $(MODELS) --name $(NAME)

serve: install
	$(BIN)/genserve --port $(PORT) --model_name $(NAME) --model_base_path $(MODELS)/$(NAME)

sample: install
	$(BIN)/genclient sample --n $(N) --target localhost:$(PORT) --model $(NAME) --out $(OUT) $(ARGS)

# A static folder for any web server: the generator in a page. MODEL is a model's folder or a version's.
web:
	client/web/build.sh $(MODEL) $(WEB) $(ARGS)

serve-container:
	REPOSITORY=$(MODELS) NAME=$(NAME) PORT=$(PORT) serving/deploy/run.sh

# A folder's time changes when a version is moved into it: it is older than the generator until that is published.
$(MODELS)/$(NAME): $(RUN)/generator.keras
	@$(MAKE) --no-print-directory export

demo: train
	@$(MAKE) --no-print-directory $(MODELS)/$(NAME)
	$(BIN)/genserve --port $(PORT) --model_name $(NAME) --model_base_path $(MODELS)/$(NAME) & server=$$!; \
	trap 'kill $$server 2>/dev/null; wait $$server' EXIT; \
	$(BIN)/genclient wait --target localhost:$(PORT) --model $(NAME) && \
	$(BIN)/genclient $(FETCH) --target localhost:$(PORT) --model $(NAME) --out $(OUT)
	@echo; echo 'run directory   $(RUN)      (samples/, log.jsonl, generator.keras)'
	@echo 'repository      $(MODELS)/$(NAME)    (SavedModel, tflite/, contact_sheet.png, manifest.json)'
	@echo 'images          $(OUT)'

# The outlines of OpenMoji to colours; a seventh of those that were not trained on is shown.
demo-translate: $(OPENMOJI)/drawn
	@$(MAKE) --no-print-directory demo NAME=colour PRESET=translate ARGS='$(or $(ARGS),--minutes $(MINUTES))' \
	DATA=pairs:$(OPENMOJI)/train/outline,$(OPENMOJI)/train/colour \
	FETCH='translate $(shell ls $(OPENMOJI)/test/outline/*.png | awk "NR % 7 == 0" | head -32)'

$(OPENMOJI)/package:
	rm -rf $(OPENMOJI) && mkdir -p $(OPENMOJI)/unpacked
	cd $(OPENMOJI) && npm pack --silent openmoji@17.0.0 && tar -xzf openmoji-17.0.0.tgz -C unpacked
	mv $(OPENMOJI)/unpacked/package $@

$(OPENMOJI)/drawn: | .venv/installed $(OPENMOJI)/package
	$(BIN)/pip install --quiet 'resvg-py>=0.5'
	$(BIN)/python bench/openmoji.py $(OPENMOJI)/package $(OPENMOJI)
	@touch $@

# Emoji with their names; a row for each text, a column for each seed.
demo-text: $(EMOJI)/package
	@$(MAKE) --no-print-directory demo NAME=words PRESET=text DATA=emoji:$(EMOJI)/package \
	ARGS='--captions auto $(or $(ARGS),--minutes $(MINUTES))' \
	FETCH='sample --n 8 --text "red heart" --text "crying face" --text cat --text tree --text moon --text clock'

$(EMOJI)/package:
	rm -rf $(EMOJI) && mkdir -p $(EMOJI)/unpacked
	cd $(EMOJI) && npm pack --silent emoji-datasource-google@16.0.0 && tar -xzf emoji-datasource-google-16.0.0.tgz -C unpacked
	mv $(EMOJI)/unpacked/package $@

# Digits that hop: those that were not trained on begin to.
demo-clips: MINUTES = 5
demo-clips:
	@$(MAKE) --no-print-directory demo NAME=hopping RUN=$(HOPPING) PRESET=animate DATA=hopping-digits OUT=out/hopping.gif \
	ARGS='--resolution 32 $(or $(ARGS),--minutes $(MINUTES))' \
	FETCH='animate `$(BIN)/python bench/stills.py $(HOPPING) out/stills` --grid 8x2 --scale 2'

# Digits of a generator and real ones, none of which the detector has learned from.
demo-detect: MINUTES = 3
demo-detect:
	@$(MAKE) --no-print-directory train RUN=$(FAKING) ARGS='$(or $(ARGS),--minutes $(MINUTES))'
	$(BIN)/gentrain detector --real $(DATA) --fake $(FAKING) --run $(DETECTOR) $(DETECTING)
	$(BIN)/genexport publish $(DETECTOR) --repository $(MODELS) --name det
	$(BIN)/genserve --port $(PORT) --model_name det --model_base_path $(MODELS)/det & server=$$!; \
	trap 'kill $$server 2>/dev/null; wait $$server' EXIT; \
	$(BIN)/genclient wait --target localhost:$(PORT) --model det && \
	$(BIN)/genclient detect `$(BIN)/python bench/judged_files.py $(DETECTOR) $(JUDGED)` \
	--target localhost:$(PORT) --model det

test: install-dev
	@tests/install-tools.sh
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install
	$(BIN)/python bench/all.py

# Hours; stopped, it goes on where it was. With ARGS='--package DIR' (npm emoji-datasource-google) emoji too.
bench-training: install
	$(BIN)/python bench/all.py training $(ARGS)

# With ARGS='--digits runs/digits --rgb RUN' the files of trained generators.
bench-device: install
	$(BIN)/python bench/all.py device $(ARGS)

# An hour; the peers get environments of their own at the first run.
bench-serving: install
	$(BIN)/python bench/all.py serving $(ARGS)

# What a client costs, how fast it decodes, and a hundred thousand images into shards.
bench-client: install
	$(BIN)/python bench/all.py client $(ARGS)

clean:
	rm -rf .venv .venv-* runs models out dist client/web/node_modules bench/.results .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
