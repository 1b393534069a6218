# Barid. `make` builds ./barid; `make check` also installs what is missing and runs every test.
#
# Who may use whom (a test links its own layer and these only, so a mistake does not link):
LAYERS := base net discover message proto/wire proto/sasl proto/imap proto/pop3 proto/smtp \
          sql store import auth deliver server/core server/imap server/pop3 server/smtp \
          client/oauth client/core client/imap client/pop3 client/smtp fetch sync copy export bin

uses.base         :=
uses.net          := base
uses.discover     := base net
uses.message      := base
uses.proto/wire   := base
uses.proto/sasl   := base proto/wire
uses.proto/imap   := base proto/wire message
uses.proto/pop3   := base proto/wire
uses.proto/smtp   := base proto/wire
uses.sql          := base
uses.store        := base message sql
uses.import       := base message sql store proto/wire proto/imap
uses.auth         := base message sql proto/sasl proto/wire
uses.deliver      := base net message sql store auth proto/smtp proto/wire proto/sasl
uses.server/core  := base net message sql store auth deliver proto/sasl proto/wire proto/smtp
uses.server/imap  := $(uses.server/core) server/core proto/imap
uses.server/pop3  := $(uses.server/core) server/core proto/pop3
uses.server/smtp  := $(uses.server/core) server/core proto/smtp
uses.client/oauth := base net proto/sasl proto/wire
uses.client/core  := $(uses.client/oauth) message client/oauth
uses.client/imap  := $(uses.client/core) client/core proto/imap
uses.client/smtp  := $(uses.client/core) client/core proto/smtp
uses.client/pop3  := $(uses.client/core) client/core proto/pop3
uses.fetch        := $(uses.client/smtp) client/smtp client/imap client/pop3 proto/imap proto/pop3 sql
uses.sync         := $(uses.client/imap) client/imap sql
uses.export       := $(uses.sync) sync
uses.copy         := $(uses.client/imap) client/imap sql
uses.bin          := $(filter-out bin,$(LAYERS))

# libcurl and libunbound are loaded when they are needed: src/net/late.h
libs.net     := -lssl -lcrypto
libs.discover := -lexpat -ljansson -lpsl -lidn2
libs.message := -lunistring
libs.sql     := -lsqlite3
libs.store   := -lsqlite3 -lxxhash
libs.import  := -lsodium
libs.deliver := -lsqlite3
libs.auth    := -lsqlite3 -lsodium -lcrypto -lcrypt -lidn2 -lunistring
libs.server/core := -linih -lseccomp
libs.server/smtp := -lsodium
libs.client/oauth := -ljansson -lcrypto
libs.client/core := -lidn2
libs.fetch   := -lsqlite3
libs.sync := -lsqlite3 -lxxhash
libs.export := -lxxhash
libs.copy := -lsqlite3 -lsodium
libs.proto/sasl := -lcrypto -lunistring

# Flavours: debug, release, asan (with UBSan), tsan, fuzz (clang), cov
F      ?= debug
OUT    := build/$(F)
CC     ?= gcc
cflags.debug   := -Og -g
cflags.release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
cflags.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
cflags.tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
cflags.fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
cflags.cov     := -O0 -g --coverage
ldflags.release := -pie -Wl,-z,relro,-z,now
ldflags.asan   := -fsanitize=address,undefined
ldflags.tsan   := -fsanitize=thread
ldflags.fuzz   := -fsanitize=fuzzer,address,undefined
ldflags.cov    := --coverage
ifeq ($(F),fuzz)
CC     := clang
endif

WARN   := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
          -Wcast-qual -Wformat=2 -Wundef -Wimplicit-fallthrough -Wconversion
CFLAGS_ALL := -std=gnu17 -Isrc -D_GNU_SOURCE $(WARN) -Werror -pthread $(cflags.$(F)) $(CFLAGS)
LDFLAGS_ALL := -pthread $(ldflags.$(F)) $(LDFLAGS)
LIBS   := $(sort $(foreach l,$(LAYERS),$(libs.$(l))))

sources = $(filter-out %_test.c %_fuzz.c,$(wildcard src/$(1)/*.c))
objects = $(patsubst src/%.c,$(OUT)/obj/%.o,$(call sources,$(1)))
archive = $(OUT)/lib/$(subst /,_,$(1)).a
layer_of = $(patsubst src/%/,%,$(dir $(1)))

TESTS  := $(sort $(wildcard src/*/*_test.c src/*/*/*_test.c))
FUZZES := $(sort $(wildcard src/*/*_fuzz.c src/*/*/*_fuzz.c))
test_bin = $(OUT)/test/$(notdir $(basename $(1)))

.DEFAULT_GOAL := barid
.SECONDEXPANSION:
.DELETE_ON_ERROR:
.PHONY: all check fresh-check test unit tidy deps clean fuzz-run fuzzers compile_commands.json format

barid: FORCE
	@$(MAKE) --no-print-directory F=release build/release/barid.bin
	@ln -sf build/release/barid.bin barid
FORCE:

$(OUT)/barid.bin: $(foreach l,$(LAYERS),$(call archive,$(l)))
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ -Wl,--whole-archive $(call archive,bin) -Wl,--no-whole-archive \
		-Wl,--start-group $(foreach l,$(filter-out bin,$(LAYERS)),$(call archive,$(l))) -Wl,--end-group $(LIBS)

all: $(OUT)/barid.bin $(foreach t,$(TESTS),$(call test_bin,$(t)))

define layer_rules
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(dir $$@)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rules,$(l))))

$(OUT)/obj/%.o: src/%.c Makefile
	@mkdir -p $(dir $@)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# A unit test sees its own layer and what that may use; nothing else is on the link line.
define test_rules
$(call test_bin,$(1)): $(patsubst src/%.c,$(OUT)/obj/%.o,$(1)) $(foreach l,$(call layer_of,$(1)) $(uses.$(call layer_of,$(1))),$(call archive,$(l)))
	@mkdir -p $$(dir $$@)
	@$(CC) $(LDFLAGS_ALL) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(2) \
		$(sort $(foreach l,$(call layer_of,$(1)) $(uses.$(call layer_of,$(1))),$(libs.$(l))))
endef
$(foreach t,$(TESTS),$(eval $(call test_rules,$(t),-lcmocka)))
ifeq ($(F),fuzz)
$(foreach t,$(FUZZES),$(eval $(call test_rules,$(t),)))
endif

# make t/imap_parse: build and run one unit test
t/%: $(OUT)/test/%_test
	@$(OUT)/test/$*_test

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

unit: $(foreach t,$(TESTS),$(call test_bin,$(t)))
	@CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(foreach t,$(TESTS),$(call test_bin,$(t)))

fuzzers:
	@$(MAKE) --no-print-directory F=fuzz fuzzers.built
fuzzers.built: $(foreach t,$(FUZZES),$(call test_bin,$(t)))

clean:
	rm -rf build barid compile_commands.json

include tools/check.mk
