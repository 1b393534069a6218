# Targets that run tools/: checks, demo, formatting. Each is a script, so that it can also be run by hand.
deps:
	@tools/deps

deps-check:
	@tools/deps check

.PHONY: deps-check

demo: deps
	@$(MAKE) --no-print-directory barid
	@./barid demo

check: deps-check
	@tools/check

test: unit tidy dialog

tidy:
	@tools/tidy

dialog: barid
	@tools/dialog tests/dialog/*.txt

clients: barid
	@tools/pytest -q -rs tests/clients

check-corpus: barid
	@tests/check-corpus

check-crash: barid
	@tests/check-crash

fresh-check:
	@tools/fresh-check

fuzz-run: fuzzers
	@tools/fuzz-run

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

compile_commands.json:
	@tools/compile-commands > $@

# The sample mail is embedded by the assembler, which no dependency file names.
$(OUT)/obj/bin/demo_mail.o: data/demo/all.txt

demo-mail:
	@tools/demo-pack

.PHONY: demo-mail
