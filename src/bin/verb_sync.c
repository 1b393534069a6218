/* The sync verb: finds the account, logs in, runs, and says in one line what was done. */
#include "bin/verb_sync.h"

#include "bin/client_imap.h"
#include "bin/sync_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct words {
    const char *account; /* NULL: the first of the file */
    bool dry_run, yes_delete, quiet;
};

static bool read_words(struct words *words, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") == 0)
            words->dry_run = true;
        else if (strcmp(argv[i], "--yes-delete") == 0)
            words->yes_delete = true;
        else if (strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0)
            words->quiet = true;
        else if (argv[i][0] == '-' || words->account)
            return false;
        else
            words->account = argv[i];
    }
    return true;
}

/* ---- the run ---- */

static int run(const struct cli *cli, const struct words *words, const struct client_use *use,
    struct imapc *imap)
{
    const struct client_account *account = use->account;
    struct sync_show show = { .live = isatty(STDERR_FILENO) && !words->quiet };
    struct sync_options options = { .imap = imap,
        .account = account,
        .state_folder = use->state_folder,
        .home = getenv("HOME"),
        .dry_run = words->dry_run,
        .yes_delete = words->yes_delete,
        .tell = sync_show_event,
        .arg = &show };
    struct sync_counts counts;
    struct client_failure failure;
    enum err e = sync_run(&options, &counts, &failure);
    sync_show_clear(&show);
    if (cli->json)
        sync_show_json(account, &counts, &failure, words->dry_run);
    else if (e == ERR_OK && !words->quiet)
        sync_show_counts(account, &counts, words->dry_run);
    return e == ERR_OK ? sync_exit_code(&counts)
                       : client_say_failure(use, &account->imap, &failure);
}

static int sync_account(const struct cli *cli, const struct words *words, struct client_use *use)
{
    struct client_failure failure;
    struct imapc *imap = NULL;
    const struct client_account *account = use->account;
    if (!account->imap.host || !account->maildir) {
        cli_error(account->imap.host ? MSG_SYNC_NO_MAILDIR : MSG_SYNC_NO_IMAP, account->name);
        return EX_CONFIG;
    }
    int code = client_use_secret(use);
    if (code)
        return code;
    enum err e = client_imap_open(use, &imap, &failure);
    code = e == ERR_OK ? run(cli, words, use, imap)
                       : client_say_failure(use, &account->imap, &failure);
    imapc_close(imap);
    return code;
}

int verb_sync(const struct cli *cli, int argc, char **argv)
{
    struct words words = { 0 };
    struct client_use use;
    if (!read_words(&words, argc, argv)) {
        fprintf(stderr, "%s\n", tr(MSG_SYNC_USAGE));
        return EX_USAGE;
    }
    int code = client_use_begin(&use, words.account);
    if (!code)
        code = sync_account(cli, &words, &use);
    client_use_done(&use);
    return code;
}
