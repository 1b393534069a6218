/* The undo verb. It moves files only; the next sync makes the other side equal. */
#include "bin/verb_undo.h"

#include "base/cleanup.h"
#include "bin/client_common.h"
#include "sync/undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words {
    const char *account;
    bool list;
};

static bool read_words(struct words *words, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            words->list = true;
        else if (argv[i][0] == '-' || words->account)
            return false;
        else
            words->account = argv[i];
    }
    return true;
}

static void print_json(const struct undo_run *runs, size_t count)
{
    printf("[");
    for (size_t i = 0; i < count; i++)
        printf("%s{\"run\":%lld,\"messages\":%zu}", i ? "," : "", (long long)runs[i].begin_s,
            runs[i].messages);
    printf("]\n");
}

static int show(const struct cli *cli, const struct undo_run *runs, size_t count)
{
    char at[32];
    if (cli->json)
        print_json(runs, count);
    else if (count == 0)
        cli_say(MSG_UNDO_NOTHING, SYNC_UNDO_DAYS);
    for (size_t i = 0; !cli->json && i < count; i++)
        cli_say(MSG_UNDO_RUN, cli_time(runs[i].begin_s, at, sizeof at), runs[i].messages);
    return EX_OK;
}

static int bring_back(const struct client_use *use, const struct undo_run *last)
{
    struct err_note note = { "" };
    size_t messages = 0;
    enum err e =
        undo_run(use->state_folder, use->account->maildir, last->begin_s, &messages, &note);
    if (e != ERR_OK) {
        cli_error_text(note.text[0] ? note.text : err_words(e));
        return EX_IOERR;
    }
    autofree char *word = cli_word(use->account->name);
    cli_say(MSG_UNDO_DONE, messages, word);
    return EX_OK;
}

static int undo(const struct cli *cli, const struct words *words, const struct client_use *use)
{
    struct err_note note = { "" };
    struct undo_run *runs = NULL;
    size_t count = 0;
    if (!use->account->maildir) {
        cli_error(MSG_SYNC_NO_MAILDIR, use->account->name);
        return EX_CONFIG;
    }
    if (undo_list(use->state_folder, &runs, &count, &note) != ERR_OK) {
        cli_error_text(note.text);
        return EX_IOERR;
    }
    int code =
        words->list || count == 0 ? show(cli, runs, count) : bring_back(use, &runs[count - 1]);
    free(runs);
    return code;
}

int verb_undo(const struct cli *cli, int argc, char **argv)
{
    struct words words = { 0 };
    struct client_use use;
    if (!read_words(&words, argc, argv)) {
        fprintf(stderr, "%s\n", tr(MSG_UNDO_USAGE));
        return EX_USAGE;
    }
    int code = client_use_begin(&use, words.account);
    if (!code)
        code = undo(cli, &words, &use);
    client_use_done(&use);
    return code;
}
