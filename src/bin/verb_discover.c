/* `barid discover`: the search of src/discover, told to a person or to a program. */
#include "bin/verb_discover.h"

#include "base/arena.h"
#include "bin/discover_show.h"
#include "discover/discover.h"
#include "net/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct words {
    const char *address;
    struct discover_options options;
    bool explain, json;
};

/* ---- the verb ---- */

static int search(const struct words *words, struct arena *arena)
{
    struct discover_result result;
    struct err_note note = { "" };
    enum err e = discover(&words->options, slice_of(words->address), arena, &result, &note);
    if (e == ERR_SYNTAX) {
        cli_error(MSG_DISCOVER_BAD_ADDRESS);
        return EX_USAGE;
    }
    if (e != ERR_OK) {
        cli_error(MSG_DISCOVER_FAILED, note.text);
        return EX_OSERR;
    }
    int code = discover_exit_code(&result);
    if (words->json)
        discover_show_json(&result, words->explain);
    else
        discover_show(&result, words->explain, arena);
    if (code && !discover_is_closed(&result))
        discover_show_failure(&result, arena, words->explain);
    return code;
}

/* EX_OK, or the exit code after saying why. */
static int read_words(int argc, char **argv, struct words *words)
{
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        bool resolver = strcmp(word, "--resolver") == 0;
        if (resolver || strcmp(word, "--ca-file") == 0) {
            if (++at == argc) {
                cli_error(MSG_OPTION_NEEDS_VALUE, word);
                return EX_USAGE;
            }
            *(resolver ? &words->options.resolver : &words->options.ca_file) = argv[at];
        } else if (strcmp(word, "--explain") == 0) {
            words->explain = true;
        } else if (word[0] == '-' || words->address) {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        } else {
            words->address = word;
        }
    }
    if (!words->address) {
        cli_error(MSG_ADDRESS_NEEDED, "discover");
        return EX_USAGE;
    }
    if (words->options.resolver && !dns_is_resolver(words->options.resolver)) {
        cli_error(MSG_DISCOVER_BAD_RESOLVER);
        return EX_USAGE;
    }
    if (words->options.ca_file && access(words->options.ca_file, R_OK) != 0) {
        cli_error(MSG_DISCOVER_BAD_CA_FILE, words->options.ca_file);
        return EX_NOINPUT;
    }
    return EX_OK;
}

int verb_discover(const struct cli *cli, int argc, char **argv)
{
    struct words words = { .json = cli->json };
    struct arena arena;
    int code = read_words(argc, argv, &words);
    if (code)
        return code;
    arena_init(&arena, DISCOVER_ARENA_BYTES_MAX);
    code = search(&words, &arena);
    arena_done(&arena);
    return code;
}
