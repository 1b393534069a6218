/* The fetch verb: mail of any provider, by POP3 or as a copy by IMAP. */
#include "bin/verb_fetch.h"

#include "base/cleanup.h"
#include "bin/client_common.h"
#include "bin/json.h"
#include "fetch/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct wanted {
    const char *account;
    bool all, large, dry_run, has_keep, imap, pop3;
    enum client_keep keep;
    int keep_days;
};

/* ---- words of the command line ---- */

static bool take_days(struct wanted *wanted, const char *text)
{
    uint64_t days = 0;
    if (!text || slice_to_u64(slice_of(text), CLIENT_DAYS_MAX, &days) || days == 0) {
        cli_error(MSG_FETCH_DAYS_BAD, CLIENT_DAYS_MAX);
        return false;
    }
    wanted->keep = CLIENT_DELETE_AFTER;
    wanted->keep_days = (int)days;
    return true;
}

/* EX_OK, or the exit code after saying why. */
static int read_words(int argc, char **argv, struct wanted *wanted)
{
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        bool keep = strcmp(word, "--keep") == 0, delete = strcmp(word, "--delete") == 0;
        bool after = strcmp(word, "--delete-after") == 0;
        if (keep || delete || after) {
            wanted->has_keep = true;
            wanted->keep = keep ? CLIENT_KEEP : CLIENT_DELETE;
            if (after && !take_days(wanted, ++at < argc ? argv[at] : NULL))
                return EX_USAGE;
        } else if (strcmp(word, "--all") == 0) {
            wanted->all = true;
        } else if (strcmp(word, "--large") == 0) {
            wanted->large = true;
        } else if (strcmp(word, "--imap") == 0 || strcmp(word, "--pop3") == 0) {
            wanted->imap = strcmp(word, "--imap") == 0;
            wanted->pop3 = !wanted->imap;
        } else if (strcmp(word, "--dry-run") == 0) {
            wanted->dry_run = true;
        } else if (word[0] == '-') {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        } else if (wanted->account) {
            fprintf(stderr, "%s\n", tr(MSG_FETCH_USAGE));
            return EX_USAGE;
        } else {
            wanted->account = word;
        }
    }
    return EX_OK;
}

/* ---- what is said ---- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                     \
    "-Wformat-nonliteral" /* the catalogue's test compares both languages */
static void note_text(void *note_arg, uint64_t bytes, struct buf *out_subject, struct buf *out_body)
{
    const struct client_account *account = note_arg;
    char size[48];
    autofree char *name = cli_word(account->name);
    client_size(bytes, size, sizeof size);
    buf_addf(out_subject, tr(MSG_NOTE_SUBJECT), size);
    buf_addf(out_body, tr(MSG_NOTE_BODY), size, name);
}

static void show_progress(void *arg, size_t done, size_t count)
{
    (void)arg;
    if (done % 50 == 0 || done == count)
        fprintf(stderr, tr(MSG_FETCH_PROGRESS), done, count);
    if (done == count)
        fputc('\n', stderr);
}
#pragma GCC diagnostic pop

static void say_result(const struct client_use *use, const struct fetch_result *r, bool dry_run)
{
    char size[48];
    const char *name = use->account->name;
    autofree char *word = cli_word(name);
    if (dry_run) {
        client_size(r->wanted_bytes, size, sizeof size);
        cli_say(MSG_FETCH_DRY, name, r->wanted, r->listed, size, r->to_delete);
    } else {
        client_size(r->fetched_bytes, size, sizeof size);
        cli_say(MSG_FETCH_DONE, name, r->fetched, r->listed, size);
    }
    if (r->deleted > 0)
        cli_say(MSG_FETCH_DELETED, r->deleted);
    if (r->notes > 0)
        cli_say(MSG_FETCH_NOTES, r->notes, word);
    if (r->skipped > 0)
        cli_say(MSG_FETCH_SKIPPED, r->skipped);
    if (r->missing > 0)
        cli_say(MSG_FETCH_MISSING, r->missing);
    if (r->refused > 0)
        cli_say(MSG_FETCH_TARGET_REFUSED, r->refused);
    if (r->refusal.text[0])
        client_say_safe(MSG_CLIENT_DETAIL, r->refusal.text);
    if (r->delete_unsure)
        cli_say(MSG_FETCH_UNSURE, r->to_delete);
}

static void print_json(const struct client_use *use, const struct fetch_result *r,
    const struct client_failure *failure)
{
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        { "listed", r->listed },
        { "known", r->known },
        { "wanted", r->wanted },
        { "wanted_bytes", r->wanted_bytes },
        { "fetched", r->fetched },
        { "fetched_bytes", r->fetched_bytes },
        { "notes", r->notes },
        { "skipped", r->skipped },
        { "refused", r->refused },
        { "missing", r->missing },
        { "to_delete", r->to_delete },
        { "deleted", r->deleted },
    };
    printf("{\"account\":");
    json_print(slice_of(use->account->name));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf(",\"%s\":%" PRIu64, numbers[i].name, numbers[i].number);
    printf(",\"delete_unsure\":%s,\"failure\":", r->delete_unsure ? "true" : "false");
    if (failure->err)
        json_print(slice_of(client_why_name(failure->why)));
    else
        printf("null");
    printf("}\n");
}

/* ---- the verb ---- */

/* As the account receives, unless a word says otherwise, or it has one server only. */
static bool by_imap(const struct client_account *account, const struct wanted *wanted)
{
    if (wanted->imap || wanted->pop3)
        return wanted->imap;
    if (!account->imap.host || !account->pop3.host)
        return account->imap.host != NULL;
    return account->receive == CLIENT_RECEIVE_IMAP;
}

/* A copy in one direction into folders that are kept the same in both would go up again as new mail. */
static bool is_synced(const struct client_use *use)
{
    const struct client_account *account = use->account;
    autofree char *path = NULL;
    if (account->deliver_mbox || account->deliver_lmtp || account->deliver_command)
        return false;
    return asprintf(&path, "%s/sync.db", use->state_folder) >= 0 && access(path, F_OK) == 0;
}

static struct fetch_options options_of(
    const struct client_use *use, const struct wanted *wanted, bool quiet)
{
    const struct client_account *account = use->account;
    return (struct fetch_options){
        .account = account,
        .state_folder = use->state_folder,
        .secret = buf_slice(&use->secret),
        .token = use->token,
        .imap = by_imap(account, wanted),
        .all = wanted->all,
        .large = wanted->large,
        .dry_run = wanted->dry_run,
        .keep = wanted->has_keep ? wanted->keep : account->keep,
        .keep_days = wanted->has_keep ? wanted->keep_days : account->keep_days,
        /* --keep is a word about this run as a whole */
        .server_bytes_max =
            wanted->has_keep && wanted->keep == CLIENT_KEEP ? 0 : account->server_bytes_max,
        .note_text = note_text,
        .note_arg = &use->accounts.all[account - use->accounts.all],
        .progress = quiet || !isatty(2) ? NULL : show_progress,
    };
}

static int fetch(const struct cli *cli, struct client_use *use, const struct wanted *wanted)
{
    struct fetch_result result;
    struct client_failure failure;
    bool imap = by_imap(use->account, wanted);
    const struct client_server *server = imap ? &use->account->imap : &use->account->pop3;
    if (!server->host) {
        cli_error(imap ? MSG_CLIENT_NO_IMAP : MSG_CLIENT_NO_POP3, use->account->name);
        return EX_CONFIG;
    }
    if (imap && is_synced(use)) {
        cli_error(MSG_FETCH_SYNCED, use->account->name);
        return EX_CONFIG;
    }
    int code = client_use_secret(use);
    if (code)
        return code;
    struct fetch_options options = options_of(use, wanted, cli->json);
    enum err e = fetch_mail(&options, &result, &failure);
    if (e && client_use_renew(use, &failure)) {
        options.secret = buf_slice(&use->secret);
        e = fetch_mail(&options, &result, &failure);
    }
    if (cli->json)
        print_json(use, &result, &failure);
    else if (!e || result.fetched > 0 || result.delete_unsure)
        say_result(use, &result, wanted->dry_run);
    if (e)
        return client_say_failure(use, server, &failure);
    return result.refused > 0 || result.missing > 0 ? EX_TEMPFAIL : EX_OK;
}

int verb_fetch(const struct cli *cli, int argc, char **argv)
{
    struct wanted wanted = { 0 };
    struct client_use use;
    int code = read_words(argc, argv, &wanted);
    if (code)
        return code;
    code = client_use_begin(&use, wanted.account);
    if (!code)
        code = fetch(cli, &use, &wanted);
    client_use_done(&use);
    return code;
}
