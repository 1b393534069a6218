# Targets that run tools/: checks, demo, formatting. Each is a script, so that it can also be run by hand.
deps:
	@tools/deps

deps-check:
	@tools/deps check

.PHONY: deps-check

check: deps-check
	@tools/check

test: unit tidy

tidy:
	@tools/tidy

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
