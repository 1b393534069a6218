# Targets that run tools/: checks, demo, formatting. Each is a script, so that it can also be run by hand.
deps:
	@tools/deps

deps-check:
	@tools/deps check

.PHONY: deps-check

check: deps-check
	@tools/check

test: unit tidy

# Sample mailboxes and every protocol on loopback, until Ctrl-C.
demo: deps
	@$(MAKE) --no-print-directory barid
	@./barid demo

man: $(patsubst docs/man/%.scd,build/man/%,$(wildcard docs/man/*.scd))
build/man/%: docs/man/%.scd
	@mkdir -p build/man
	@scdoc < $< > $@

.PHONY: man

# One part alone, against the release build.
dialog: barid
	@tools/check dialog

clients: barid
	@tools/check clients

check-corpus: barid
	@BARID=./barid tests/check-corpus
	@tests/mail/corpus_structure.py --barid ./barid --at-least 99.9 --trees-at-least 99.5

check-crash: barid
	@BARID=./barid tests/check-crash

check-faults: barid
	@BARID=./barid tests/check-faults

check-client-faults: barid
	@BARID=./barid tests/check-client-faults

check-damage: barid
	@BARID=./barid tests/check-damage

check-power: barid
	@BARID=./barid tests/check-power

.PHONY: demo dialog clients check-corpus check-crash check-faults check-client-faults check-damage check-power

tidy:
	@tools/tidy

# What bench/run and bench/scale load servers with; no test needs it.
bench:
	@$(MAKE) --no-print-directory -C bench/load WARN='$(WARN)'

.PHONY: bench

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

# So are the texts of the guide.
$(OUT)/obj/bin/guide.o: $(wildcard data/guide/*.en data/guide/*.ar)

# And the table of providers, which tools/providers packs.
$(OUT)/obj/discover/table.o: data/providers.txt

demo-mail:
	@tools/demo-pack

.PHONY: demo-mail
