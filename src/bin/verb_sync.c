/* The sync verb: finds the account, logs in, runs, and says in one line what was done. */
#include "bin/verb_sync.h"

#include "bin/client_imap.h"
#include "bin/json.h"
#include "sync/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EX_BRAKE 20 /* a run that stopped before it removed too much */

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

/* ---- what is told on the way ---- */

struct teller {
    bool live; /* a line that is written over, on a terminal */
};

static void clear_line(const struct teller *teller)
{
    if (teller->live)
        fputs("\r\033[K", stderr);
}

/* Text of the server's for a terminal. */
static char *safe(const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    cli_add_safe(&out, slice_of(text));
    buf_addc(&out, '\0');
    return out.mem + out.start;
}

static void tell_stop(const struct sync_event *event, const char *folder, const char *text)
{
    switch (event->reason) {
    case SYNC_STOP_REFUSED:
        cli_error(MSG_SYNC_STOP_REFUSED, folder, text);
        break;
    case SYNC_STOP_NO_UIDVALIDITY:
        cli_error(MSG_SYNC_STOP_NO_UIDVALIDITY, folder);
        break;
    case SYNC_STOP_NAME_HERE:
        cli_error(MSG_SYNC_STOP_NAME_HERE, folder);
        break;
    case SYNC_STOP_NAME_THERE:
        cli_error(MSG_SYNC_STOP_NAME_THERE, folder);
        break;
    case SYNC_STOP_DISK:
    case SYNC_STOP_COUNT:
    default:
        cli_error(MSG_SYNC_STOP_DISK, folder, text);
        break;
    }
}

static void tell(void *arg, const struct sync_event *event)
{
    const struct teller *teller = arg;
    char *folder = safe(event->folder), *text = safe(event->text);
    if (event->kind != SYNC_PROGRESS)
        clear_line(teller);
    switch (event->kind) {
    case SYNC_FOLDER_STOPPED:
        tell_stop(event, folder, text);
        break;
    case SYNC_BRAKED:
        cli_error(strcmp(event->text, "near") == 0 ? MSG_SYNC_BRAKED_NEAR : MSG_SYNC_BRAKED_FAR,
            folder, (unsigned long long)event->count);
        break;
    case SYNC_MESSAGE_FAILED:
        cli_error(MSG_SYNC_MESSAGE_FAILED, folder, text);
        break;
    case SYNC_PROGRESS:
        if (teller->live)
            fprintf(stderr, "\r\033[K%s: %llu", folder, (unsigned long long)event->count);
        break;
    case SYNC_FOLDER_DONE:
    default:
        break;
    }
    free(folder);
    free(text);
}

static void print_json(const struct client_account *account, const struct sync_counts *c,
    const struct client_failure *failure, bool dry_run)
{
    fputs("{\"account\": ", stdout);
    json_print(slice_of(account->name));
    printf(", \"dry_run\": %s, \"down\": %llu, \"up\": %llu, \"near_flags\": %llu, \"far_flags\": "
           "%llu",
        dry_run ? "true" : "false", (unsigned long long)c->down, (unsigned long long)c->up,
        (unsigned long long)c->near_flags, (unsigned long long)c->far_flags);
    printf(", \"near_removed\": %llu, \"far_removed\": %llu, \"near_moved\": %llu, \"far_moved\": "
           "%llu",
        (unsigned long long)c->near_removed, (unsigned long long)c->far_removed,
        (unsigned long long)c->near_moved, (unsigned long long)c->far_moved);
    printf(", \"near_folders\": %llu, \"far_folders\": %llu, \"failed\": %llu, \"stopped\": %llu, "
           "\"braked\": %llu, "
           "\"left_there\": %llu, \"failure\": ",
        (unsigned long long)c->near_folders, (unsigned long long)c->far_folders,
        (unsigned long long)c->failed, (unsigned long long)c->stopped,
        (unsigned long long)c->braked, (unsigned long long)c->left_there);
    if (failure->err)
        json_print(slice_of(client_why_name(failure->why)));
    else
        fputs("null", stdout);
    puts("}");
}

static void print_counts(
    const struct client_account *account, const struct sync_counts *c, const struct words *words)
{
    if (words->quiet)
        return;
    cli_say(words->dry_run ? MSG_SYNC_WOULD : MSG_SYNC_DONE, account->name,
        (unsigned long long)c->down, (unsigned long long)c->up,
        (unsigned long long)(c->near_flags + c->far_flags),
        (unsigned long long)(c->near_moved + c->far_moved), (unsigned long long)c->near_removed,
        (unsigned long long)c->far_removed);
    if (c->left_there)
        cli_say(MSG_SYNC_LEFT_THERE, (unsigned long long)c->left_there);
}

/* ---- the run ---- */

static int exit_of(const struct sync_counts *counts)
{
    if (counts->braked)
        return EX_BRAKE;
    return counts->stopped || counts->failed ? EX_TEMPFAIL : EX_OK;
}

static int run(const struct cli *cli, const struct words *words, const struct client_use *use,
    struct imapc *imap)
{
    const struct client_account *account = use->account;
    struct teller teller = { .live = isatty(STDERR_FILENO) && !words->quiet };
    struct sync_options options = { .imap = imap,
        .account = account,
        .state_folder = use->state_folder,
        .dry_run = words->dry_run,
        .yes_delete = words->yes_delete,
        .tell = tell,
        .arg = &teller };
    struct sync_counts counts;
    struct client_failure failure;
    enum err e = sync_run(&options, &counts, &failure);
    clear_line(&teller);
    if (cli->json)
        print_json(account, &counts, &failure, words->dry_run);
    else if (e == ERR_OK)
        print_counts(account, &counts, words);
    return e == ERR_OK ? exit_of(&counts) : client_say_failure(use, &account->imap, &failure);
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
