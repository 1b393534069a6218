/* The export verb: folders of a mailbox of any provider into files. */
#include "bin/mail_session.h"
#include "bin/verb_files.h"

#include "base/cleanup.h"
#include "bin/json.h"
#include "export/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct words {
    char **places; /* ACCOUNT[:FOLDER]... */
    int count;
    const char *path;
    enum export_format format;
    bool dry_run;
};

static int read_words(struct words *words, int argc, char **argv)
{
    int count = 0;
    *words = (struct words){ .places = argv };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") == 0) {
            words->dry_run = true;
        } else if (strcmp(argv[i], "--format") == 0) {
            const char *value = mail_value(argc, argv, &i);
            if (!value)
                return EX_USAGE;
            words->format = strcmp(value, "mbox") == 0 ? EXPORT_MBOX : EXPORT_MAILDIR;
            if (strcmp(value, "mbox") != 0 && strcmp(value, "maildir") != 0)
                return mail_usage(MSG_EXPORT_USAGE);
        } else if (argv[i][0] == '-') {
            return mail_usage(MSG_EXPORT_USAGE);
        } else {
            argv[count++] = argv[i];
        }
    }
    if (count < 2)
        return mail_usage(MSG_EXPORT_USAGE);
    words->path = argv[count - 1];
    words->count = count - 1;
    return EX_OK;
}

/* ---- which account, which folders ---- */

/* The account before the colon, or all of the word; *out_folder "" stands for every folder. Owned by the caller. */
static char *cut_place(
    const struct client_accounts *accounts, const char *word, const char **out_folder)
{
    char *account = mail_cut_word(accounts, word, out_folder);
    if (account)
        return account;
    *out_folder = "";
    return mem_strdup(word);
}

static int begin(struct mail_session *session, const struct words *words)
{
    struct client_accounts *accounts = &session->use.accounts;
    const char *folder;
    *session = (struct mail_session){ .imap = NULL };
    int code = client_use_load(&session->use);
    if (code)
        return code;
    autofree char *first = cut_place(accounts, words->places[0], &folder);
    for (int i = 1; i < words->count; i++) {
        autofree char *other = cut_place(accounts, words->places[i], &folder);
        if (client_accounts_find(accounts, first) != client_accounts_find(accounts, other)) {
            cli_error(MSG_EXPORT_TWO_ACCOUNTS);
            return EX_USAGE;
        }
    }
    code = client_use_choose(&session->use, first);
    return code ? code : mail_log_in(session);
}

/* Marks the folders that are wanted. */
static int choose(struct mail_session *session, const struct words *words, bool *chosen)
{
    const struct imapc_folders *folders = &session->folders;
    for (int i = 0; i < words->count; i++) {
        const struct imapc_folder *folder;
        const char *name;
        free(cut_place(&session->use.accounts, words->places[i], &name));
        for (size_t k = 0; !*name && k < folders->count; k++)
            chosen[k] = !folders->all[k].noselect;
        if (!*name)
            continue;
        int code = mail_find(session, name, &folder);
        if (code)
            return code;
        chosen[folder - folders->all] = true;
    }
    return EX_OK;
}

/* ---- what is told ---- */

static bool live(void)
{
    return isatty(STDERR_FILENO);
}

static void progress(void *arg, uint64_t messages)
{
    (void)arg;
    if (live())
        fprintf(stderr, "\r\033[K%" PRIu64, messages);
}

static void clear_progress(void)
{
    if (live())
        fputs("\r\033[K", stderr);
}

static int say_stop(struct mail_session *session, enum export_stop stop, const char *what,
    const struct err_note *note)
{
    autofree char *name = cli_safe(slice_of(what));
    autofree char *said = cli_safe(slice_of(imapc_words(session->imap)));
    autofree char *why = cli_safe(slice_of(note->text));
    switch (stop) {
    case EXPORT_FINE:
        return EX_OK;
    case EXPORT_REFUSED:
        cli_error(MSG_SYNC_STOP_REFUSED, name, said);
        return EX_TEMPFAIL;
    case EXPORT_NO_UIDVALIDITY:
        cli_error(MSG_SYNC_STOP_NO_UIDVALIDITY, name);
        return EX_UNAVAILABLE;
    case EXPORT_FOREIGN:
        cli_error(MSG_EXPORT_FOREIGN, name);
        return EX_CANTCREAT;
    case EXPORT_CHANGED:
        cli_error(MSG_EXPORT_CHANGED, name);
        return EX_CANTCREAT;
    case EXPORT_NOT_EMPTY:
        cli_error(MSG_EXPORT_NOT_EMPTY, name);
        return EX_CANTCREAT;
    case EXPORT_OTHER_OWNER:
        cli_error(MSG_EXPORT_OTHER_OWNER, name);
        return EX_CANTCREAT;
    case EXPORT_RUNNING:
        cli_error(MSG_EXPORT_RUNNING, name);
        return EX_TEMPFAIL;
    case EXPORT_BROKEN:
        return mail_failed(session, ERR_CLOSED);
    case EXPORT_DISK:
    default:
        cli_error_text(why);
        return EX_IOERR;
    }
}

static const char *stop_name(enum export_stop stop)
{
    static const char *const names[] = { [EXPORT_FINE] = "",
        [EXPORT_REFUSED] = "refused",
        [EXPORT_NO_UIDVALIDITY] = "no-uidvalidity",
        [EXPORT_FOREIGN] = "foreign",
        [EXPORT_CHANGED] = "changed",
        [EXPORT_NOT_EMPTY] = "not-empty",
        [EXPORT_OTHER_OWNER] = "other-owner",
        [EXPORT_RUNNING] = "running",
        [EXPORT_DISK] = "disk",
        [EXPORT_BROKEN] = "broken" };
    return names[stop];
}

static void show_json(
    const struct words *words, const char *folder, const struct export_result *result)
{
    fputs("{\"folder\":", stdout);
    json_print(slice_of(folder));
    fputs(",\"path\":", stdout);
    json_print(slice_of(result->path));
    printf(",\"dry_run\":%s,\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"there\":%" PRIu64
           ",\"missing\":%" PRIu64 ",\"stopped\":",
        words->dry_run ? "true" : "false", result->messages, result->bytes, result->there,
        result->missing);
    if (result->stop)
        json_print(slice_of(stop_name(result->stop)));
    else
        fputs("null", stdout);
    puts("}");
}

static void show(const struct words *words, const char *folder, const struct export_result *result)
{
    char size[48];
    autofree char *name = cli_safe(slice_of(folder));
    if (result->messages || result->there || words->dry_run)
        cli_say(words->dry_run ? MSG_EXPORT_WOULD : MSG_EXPORT_FOLDER, name,
            (unsigned long long)result->messages, client_size(result->bytes, size, sizeof size),
            (unsigned long long)result->there);
}

/* What is no failure of the folder, and has to be known. */
static int say_rest(const char *folder, const struct export_result *result)
{
    autofree char *name = cli_safe(slice_of(folder));
    if (result->left_out)
        cli_error(MSG_EXPORT_KEYWORDS, name, (unsigned long long)result->left_out);
    if (result->missing == 0)
        return EX_OK;
    cli_error(MSG_EXPORT_MISSING, name, (unsigned long long)result->missing);
    return EX_TEMPFAIL;
}

/* ---- the run ---- */

/* *out_fatal: nothing more can be done. */
static int export_one(const struct cli *cli, struct mail_session *session,
    const struct words *words, struct export *export, const struct imapc_folder *folder,
    bool *out_fatal)
{
    struct export_result result;
    *out_fatal = export_folder(export, folder, &result) != ERR_OK;
    clear_progress();
    if (cli->json)
        show_json(words, folder->name, &result);
    else if (!result.stop)
        show(words, folder->name, &result);
    fflush(stdout);
    int code = say_stop(session, result.stop, folder->name, &result.note);
    if (!code)
        code = say_rest(folder->name, &result);
    export_result_done(&result);
    return code;
}

/* The first trouble decides the exit code; the other folders are exported all the same. */
static int export_chosen(const struct cli *cli, struct mail_session *session,
    const struct words *words, const bool *chosen, struct export *export)
{
    bool fatal = false;
    int code = EX_OK;
    for (size_t i = 0; !fatal && i < session->folders.count; i++) {
        if (!chosen[i])
            continue;
        int one = export_one(cli, session, words, export, &session->folders.all[i], &fatal);
        code = code ? code : one;
    }
    return code;
}

static int run(const struct cli *cli, struct mail_session *session, const struct words *words)
{
    const struct client_account *account = session->use.account;
    struct export *export = NULL;
    struct err_note note = { "" };
    enum export_stop stop;
    struct buf owner;
    autofree bool *chosen = mem_zalloc(session->folders.count + 1, sizeof *chosen);
    int code = choose(session, words, chosen);
    if (code) /* before PATH is made */
        return code;
    buf_init(&owner, 0);
    buf_addf(&owner, "%s %s", account->user, account->imap.host);
    buf_addc(&owner, '\0');
    struct export_options options = { .imap = session->imap,
        .path = words->path,
        .owner = buf_slice(&owner).ptr,
        .format = words->format,
        .dry_run = words->dry_run,
        .progress = progress };
    if (export_open(&options, &export, &stop, &note) != ERR_OK)
        code = say_stop(session, stop, words->path, &note);
    else
        code = export_chosen(cli, session, words, chosen, export);
    export_close(export);
    buf_done(&owner);
    return code;
}

int verb_export(const struct cli *cli, int argc, char **argv)
{
    struct words words;
    struct mail_session session;
    int code = read_words(&words, argc, argv);
    if (code)
        return code;
    code = begin(&session, &words);
    if (!code)
        code = mail_folders(&session, false);
    if (!code)
        code = run(cli, &session, &words);
    mail_end(&session);
    return code;
}
