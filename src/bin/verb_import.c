/* barid import: mail of another server, out of its files, into a user's account, or (import_account.h) into that of another provider.
 *
 * What is read is filed in an account of its own in incoming/ first, where also a confined server may read it; each time that account has grown large, the
 * server, or we when none runs, adds to the user's what is missing there. So it may be cut short anywhere and begun again: what is there is known by its id. */
#include "bin/verb_import.h"

#include "auth/directory.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "bin/backup_files.h"
#include "bin/bring.h"
#include "bin/import_account.h"
#include "copy/copy.h"
#include "import/import.h"
#include "import/uids.h"
#include "server/core/control.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of what is brought over at once: little enough that the server does other things in between, and twice so much of the disk is not missed. */
#define PART_BYTES    (128u << 20)
#define PART_MESSAGES 10000u
/* Of one transaction. */
#define BATCH_MESSAGES 64u
#define BATCH_BYTES    (4u << 20)
/* So many of the messages that cannot be read are named. */
#define TROUBLES_TOLD 20u
/* The account that is filled; it is nobody's. */
#define PART_ID "import"

/* What is brought over next. */
struct part {
    char folder[BRING_NAME_BYTES]; /* a store of its own below the data folder */
    struct store *store;           /* NULL: there is none */
    struct account *account;
    int64_t mailbox;
    uint64_t bytes, messages; /* in it */
    struct store_append items[BATCH_MESSAGES];
    size_t count;
    uint64_t batch_bytes;
    struct arena arena; /* of the items */
};

struct import {
    const struct config *config;
    struct import_options options;
    const char *address;
    bool dry_run;
    bool to_user, to_account; /* said so */
    struct user user;
    struct store *store; /* NULL: a server runs */
    struct part part;
    struct slice mailbox; /* that is being read; owned */
    uint64_t mailboxes_renamed;
    uint64_t added, there, damaged, uidls, uidls_lost, troubles;
    /* of the mailbox that is only counted */
    uint64_t counted, counted_uidls;
    char example[STORE_UIDL_BYTES_MAX + 1];
};

/* ---- the account in the making ---- */

/* A new account has mailboxes that the mail does not need to have had. */
static enum err remove_first_ones(struct account *account)
{
    struct arena arena;
    struct mailbox *list;
    size_t count = 0;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailboxes(account, &arena, &list, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        if (!slice_eq(list[i].name, SLICE("INBOX")))
            e = mailbox_delete(account, list[i].name);
        if (e == ERR_OK && !slice_eq(list[i].name, SLICE("INBOX")))
            e = mailbox_subscribe(account, list[i].name, false);
    }
    arena_done(&arena);
    return e;
}

static enum err find_or_make(struct account *account, struct slice name, int64_t *out_id)
{
    struct arena arena;
    struct mailbox box;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailbox(account, name, &arena, &box);
    if (e == ERR_OK && !box.noselect)
        *out_id = box.id;
    else if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = mailbox_create(account, name, STORE_USE_NONE, out_id);
    arena_done(&arena);
    return e == ERR_OK ? mailbox_subscribe(account, name, true) : e;
}

/* One whose name cannot be one here (too long, too deep) gets another. */
static enum err use_mailbox(struct import *im)
{
    char name[32];
    struct part *part = &im->part;
    enum err e = find_or_make(part->account, im->mailbox, &part->mailbox);
    if (e != ERR_SYNTAX && e != ERR_LIMIT)
        return e;
    (void)snprintf(name, sizeof name, "Imported %llu", (unsigned long long)++im->mailboxes_renamed);
    cli_error(MSG_BRING_NO_NAME, name);
    free((char *)(uintptr_t)im->mailbox.ptr);
    im->mailbox = slice_of(mem_strdup(name));
    return find_or_make(part->account, im->mailbox, &part->mailbox);
}

static enum err begin_part(struct import *im)
{
    char path[PATH_MAX];
    struct part *part = &im->part;
    struct err_note note = { "" };
    bring_name("import", part->folder);
    (void)snprintf(path, sizeof path, "%s/%s", im->config->data_dir, part->folder);
    struct store_options options = { .root = path };
    part->bytes = part->messages = 0;
    TRY(store_open(&options, &part->store, &note));
    TRY(store_account(part->store, SLICE(PART_ID), true, &part->account));
    TRY(remove_first_ones(part->account));
    return use_mailbox(im);
}

static void clear_batch(struct part *part)
{
    for (size_t i = 0; i < part->count; i++)
        blob_unref(part->items[i].blob);
    part->count = 0;
    part->batch_bytes = 0;
    arena_reset(&part->arena);
}

static enum err file_batch(struct import *im)
{
    struct part *part = &im->part;
    struct store_append_result result = { 0 };
    if (part->count == 0)
        return ERR_OK;
    TRY(account_append(part->account, part->mailbox, part->items, part->count, &result));
    im->uidls_lost += result.uidls_refused;
    clear_batch(part);
    return ERR_OK;
}

static void close_part(struct part *part)
{
    if (!part->store)
        return;
    clear_batch(part);
    account_unref(part->account);
    store_close(part->store);
    part->account = NULL;
    part->store = NULL;
}

/* Where the server looks for it, and owned by whom it runs as. */
static enum err place_part(struct import *im, int data, char *out_folder)
{
    char account[BRING_NAME_BYTES + 32];
    (void)snprintf(account, sizeof account, "%s/accounts/" PART_ID, im->part.folder);
    bring_name("imported", out_folder);
    if (renameat(data, account, data, out_folder) != 0)
        return err_from_errno(errno);
    return backup_give_tree(im->config->data_dir, out_folder);
}

static enum err bring_part(struct import *im, int data)
{
    char folder[BRING_NAME_BYTES];
    struct store_restore_result result = { 0 };
    struct store_restore_args args = {
        .folder = folder, .from_id = SLICE(PART_ID), .mailbox = SLICE_EMPTY
    };
    enum err e = place_part(im, data, folder);
    if (e == ERR_OK)
        e = bring_add(im->config, im->store, im->user.id, &args, &result);
    im->added += result.added;
    im->there += result.there;
    im->damaged += result.damaged;
    im->uidls += result.uidls;
    im->uidls_lost += result.uidls_lost;
    (void)!dir_remove(data, folder); /* what stays is swept at the next start */
    return e;
}

/* What was read so far goes over. No blob of the message that is being read is left. */
static enum err end_part(struct import *im, enum err e)
{
    struct part *part = &im->part;
    if (!part->store)
        return e;
    if (e == ERR_OK)
        e = file_batch(im);
    close_part(part);
    autoclose int data = open(im->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e == ERR_OK)
        e = data < 0 ? err_from_errno(errno) : bring_part(im, data);
    (void)!dir_remove(data, part->folder);
    return e;
}

/* ---- what is read ---- */

static enum err part_store(void *import_arg, struct store **out_store)
{
    struct import *im = import_arg;
    struct part *part = &im->part;
    if (part->store && (part->bytes >= PART_BYTES || part->messages >= PART_MESSAGES))
        TRY(end_part(im, ERR_OK));
    if (!part->store)
        TRY(begin_part(im));
    *out_store = part->store;
    return ERR_OK;
}

static enum err on_mailbox(void *import_arg, struct slice name)
{
    struct import *im = import_arg;
    if (im->part.store)
        TRY(file_batch(im));
    free((char *)(uintptr_t)im->mailbox.ptr);
    im->mailbox = slice_from(mem_strndup(name.ptr, name.len), name.len);
    return im->part.store ? use_mailbox(im) : begin_part(im);
}

/* In the arena, as the item is only lent. */
static struct store_flags kept_flags(struct arena *arena, const struct store_flags *flags)
{
    struct slice *keywords = arena_zalloc(arena, flags->keyword_count + 1, sizeof *keywords);
    for (size_t i = 0; i < flags->keyword_count; i++)
        keywords[i] = slice_dup(arena, flags->keywords[i]);
    return (struct store_flags){
        .system = flags->system, .keywords = keywords, .keyword_count = flags->keyword_count
    };
}

static enum err on_message(void *import_arg, const struct import_item *item)
{
    struct import *im = import_arg;
    struct part *part = &im->part;
    uint64_t bytes = blob_size(item->blob);
    part->items[part->count++] = (struct store_append){ .blob = blob_ref(item->blob),
        .flags = kept_flags(&part->arena, &item->flags),
        .received_s = item->received_s,
        .restored = true,
        .guid = (const unsigned char *)slice_dup(
            &part->arena, slice_from(item->guid, sizeof item->guid))
                    .ptr,
        .uidl = slice_dup(&part->arena, item->uidl) };
    part->batch_bytes += bytes;
    part->bytes += bytes;
    part->messages++;
    return part->count == BATCH_MESSAGES || part->batch_bytes >= BATCH_BYTES ? file_batch(im)
                                                                             : ERR_OK;
}

static void on_trouble(void *import_arg, const char *path, enum import_trouble what)
{
    static const enum message_id texts[] = { [IMPORT_UNREADABLE] = MSG_BRING_UNREADABLE,
        [IMPORT_EMPTY] = MSG_BRING_EMPTY,
        [IMPORT_COMPRESSED] = MSG_BRING_COMPRESSED,
        [IMPORT_TOO_LARGE] = MSG_BRING_TOO_LARGE };
    struct import *im = import_arg;
    struct buf safe;
    if (++im->troubles > TROUBLES_TOLD)
        return;
    buf_init(&safe, 0);
    cli_add_safe(&safe, slice_of(path));
    buf_addc(&safe, '\0');
    cli_error(texts[what], buf_slice(&safe).ptr);
    buf_done(&safe);
}

/* ---- only counted ---- */

static void tell_counted(struct import *im)
{
    if (!im->mailbox.ptr)
        return;
    (void)printf(
        "%10llu  %10llu  ", (unsigned long long)im->counted, (unsigned long long)im->counted_uidls);
    cli_print_safe(im->mailbox);
    (void)printf("%s%s\n", im->example[0] ? "  " : "", im->example);
    free((char *)(uintptr_t)im->mailbox.ptr);
    im->mailbox = (struct slice){ NULL, 0 };
}

static enum err count_mailbox(void *import_arg, struct slice name)
{
    struct import *im = import_arg;
    tell_counted(im);
    im->counted = im->counted_uidls = 0;
    im->example[0] = '\0';
    im->mailbox = slice_from(mem_strndup(name.ptr, name.len), name.len);
    return ERR_OK;
}

static enum err count_message(void *import_arg, const struct import_item *item)
{
    struct import *im = import_arg;
    im->counted++;
    if (item->uidl.len && im->counted_uidls++ == 0)
        (void)snprintf(im->example, sizeof im->example, "%.*s", SLICE_FMT(item->uidl));
    return ERR_OK;
}

/* ---- what is said at the end ---- */

static int tell_problem(const struct import_result *result, enum err e)
{
    static const enum message_id texts[] = { [IMPORT_NO_FILE] = MSG_BRING_NO_FILE,
        [IMPORT_NO_FOLDER] = MSG_BRING_NO_FOLDER,
        [IMPORT_NO_MAILDIR] = MSG_BRING_NO_MAILDIR,
        [IMPORT_NO_MBOX] = MSG_BRING_NO_MBOX,
        [IMPORT_NO_CYRUS] = MSG_BRING_NO_CYRUS,
        [IMPORT_LIST] = MSG_BRING_LIST,
        [IMPORT_UNCLEAR] = MSG_BRING_UNCLEAR };
    if (result->problem == IMPORT_NOT_OPENED) {
        cli_error(MSG_BRING_NOT_OPENED, result->problem_path, strerror(result->problem_errno));
        return EX_NOINPUT;
    }
    cli_error(texts[result->problem], result->problem_path);
    (void)e;
    return EX_DATAERR;
}

static int tell_error(const struct import *im, enum err e)
{
    if (e == ERR_NO_SPACE)
        cli_error(MSG_BRING_NO_SPACE, im->address);
    else if (e == ERR_CORRUPT)
        cli_error(MSG_RESTORE_HERE_DAMAGED, im->address);
    else
        cli_error(MSG_BRING_CUT_SHORT, im->address, err_words(e));
    return cli_exit_code(e);
}

static int tell_end(const struct import *im, const struct import_result *result)
{
    uint64_t lost = im->uidls_lost + result->uidls_bad;
    if (!im->dry_run)
        cli_say(MSG_BRING_DONE, im->address, (unsigned long long)im->added,
            (unsigned long long)im->there);
    if (im->uidls)
        cli_say(MSG_BRING_UIDLS, (unsigned long long)im->uidls, import_uidls_name(result->uidls));
    else if (result->uidls == IMPORT_UIDLS_NONE && (im->added || im->dry_run))
        cli_say(MSG_BRING_UIDLS_NONE);
    if (lost)
        cli_say(MSG_BRING_UIDLS_LOST, (unsigned long long)lost);
    if (im->troubles)
        cli_error(MSG_BRING_TROUBLES, (unsigned long long)im->troubles);
    if (im->damaged)
        cli_error(MSG_RESTORE_SOME_DAMAGED, im->address, (unsigned long long)im->damaged);
    return im->troubles || im->damaged ? 1 : EX_OK;
}

/* ---- the run ---- */

static int run_dry(struct import *im)
{
    struct import_result result;
    const struct import_sink sink = {
        .sink_arg = im, .mailbox = count_mailbox, .message = count_message, .trouble = on_trouble
    };
    cli_say(MSG_BRING_LIST_HEAD);
    enum err e = import_run(&im->options, &sink, &result);
    if (result.problem)
        return tell_problem(&result, e);
    tell_counted(im);
    return e == ERR_OK ? tell_end(im, &result) : tell_error(im, e);
}

static int run_real(struct import *im)
{
    struct import_result result;
    const struct import_sink sink = { .sink_arg = im,
        .store = part_store,
        .mailbox = on_mailbox,
        .message = on_message,
        .trouble = on_trouble };
    arena_init(&im->part.arena, SIZE_MAX);
    enum err e = import_run(&im->options, &sink, &result);
    if (result.problem) {
        (void)!end_part(im, ERR_CANCELED);
        arena_done(&im->part.arena);
        return tell_problem(&result, e);
    }
    e = end_part(im, e);
    arena_done(&im->part.arena);
    int code = e == ERR_OK ? EX_OK : tell_error(im, e);
    int end = e == ERR_OK || im->added ? tell_end(im, &result) : EX_OK;
    return code == EX_OK ? end : code;
}

/* *out_told: what went wrong was said. */
static enum err find_user(struct import *im, bool *out_told)
{
    char path[PATH_MAX];
    struct directory *directory;
    struct err_note note = { "" };
    (void)snprintf(path, sizeof path, "%s/directory.db", im->config->data_dir);
    enum err e = directory_open(path, false, &directory, &note);
    if (e == ERR_OK) {
        e = directory_user(directory, slice_of(im->address), &im->user);
        directory_close(directory);
        if (e == ERR_NOT_FOUND)
            cli_error(MSG_NO_SUCH_USER, im->address);
        *out_told = e == ERR_NOT_FOUND;
    } else if (note.text[0]) {
        cli_error_text(note.text);
        *out_told = true;
    }
    return e;
}

static enum err open_store(struct import *im, bool *out_told)
{
    bool ok = false;
    struct err_note note = { "" };
    struct store_options options = { .root = im->config->data_dir };
    if (control_ask(im->config->data_dir, "status\n", NULL, NULL, &ok) == ERR_OK)
        return ERR_OK;
    enum err e = store_open(&options, &im->store, &note);
    if (e != ERR_OK && note.text[0])
        cli_error_text(note.text);
    *out_told = e != ERR_OK && note.text[0];
    return e;
}

static int run(struct import *im)
{
    bool told = false;
    enum err e = find_user(im, &told);
    if (e == ERR_OK && !im->dry_run)
        e = open_store(im, &told);
    if (e != ERR_OK) {
        if (!told)
            cli_error(MSG_FAILED, err_words(e));
        return cli_exit_code(e);
    }
    int code = im->dry_run ? run_dry(im) : run_real(im);
    free((char *)(uintptr_t)im->mailbox.ptr);
    bool by_us = im->store != NULL;
    store_close(im->store);
    if (by_us) /* what opening it made */
        (void)!backup_give_account(im->config->data_dir, im->user.id);
    return code;
}

/* ---- an account of accounts.conf ---- */

static int run_account(const struct cli *cli, struct import *im)
{
    struct import_account_result result;
    const struct import_account args = { .account = im->address,
        .options = &im->options,
        .settle_ms = COPY_SETTLE_MS,
        .live = isatty(STDERR_FILENO) && !cli->json,
        .json = cli->json,
        .trouble = on_trouble,
        .trouble_arg = im };
    if (im->options.uidls != IMPORT_UIDLS_AUTO && im->options.uidls != IMPORT_UIDLS_NONE) {
        cli_error(MSG_BRING_NO_UIDLS);
        return EX_USAGE;
    }
    im->options.uidls = IMPORT_UIDLS_NONE;
    if (im->dry_run) {
        int code = run_dry(im);
        free((char *)(uintptr_t)im->mailbox.ptr);
        return code;
    }
    int code = import_into_account(&args, &result);
    if (result.read.problem)
        code = tell_problem(&result.read, ERR_SYNTAX);
    const struct copy_counts *counts = &result.counts;
    if (!cli->json && (code == EX_OK || counts->copied))
        cli_say(MSG_BRING_DONE, im->address, (unsigned long long)counts->copied,
            (unsigned long long)(counts->known + counts->found));
    if (counts->failed)
        cli_error(MSG_BRING_LEFT, (unsigned long long)counts->failed);
    if (im->troubles)
        cli_error(MSG_BRING_TROUBLES, (unsigned long long)im->troubles);
    if (code == EX_OK && (counts->failed || counts->stopped))
        return EX_TEMPFAIL;
    return code == EX_OK && im->troubles ? 1 : code;
}

/* Whether the server here has such a user; no server here has none. */
static bool is_user(const struct config *config, const char *address)
{
    char path[PATH_MAX];
    struct directory *directory;
    struct err_note note = { "" };
    struct user user;
    (void)snprintf(path, sizeof path, "%s/directory.db", config->data_dir);
    if (directory_open(path, false, &directory, &note) != ERR_OK)
        return false;
    enum err e = directory_user(directory, slice_of(address), &user);
    directory_close(directory);
    return e == ERR_OK;
}

/* Which of the two is meant. EX_OK, or the exit code after saying that it is not clear. */
static int choose(struct import *im)
{
    if (im->to_user || im->to_account || !import_account_exists(im->address))
        return EX_OK;
    if (is_user(im->config, im->address)) {
        cli_error(MSG_BRING_WHICH, im->address);
        return EX_USAGE;
    }
    im->to_account = true;
    return EX_OK;
}

/* ---- words ---- */

static bool take_format(const char *word, enum import_format *out)
{
    static const char *const names[] = { [IMPORT_AUTO] = "auto",
        [IMPORT_MAILDIR] = "maildir",
        [IMPORT_MBOX] = "mbox",
        [IMPORT_MBOX_O] = "mboxo",
        [IMPORT_CYRUS] = "cyrus" };
    if (strcmp(word, "mboxrd") == 0)
        word = "mbox";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(word, names[i]) == 0) {
            *out = (enum import_format)i;
            return true;
        }
    return false;
}

/* NAME, dovecot:FORMAT, cyrus:UIDVALIDITY */
static bool take_uidls(struct slice word, struct import_options *options)
{
    struct slice name = SLICE_EMPTY;
    uint64_t number = 0;
    bool more = slice_index(word, ':') < word.len;
    (void)slice_cut(&word, ':', &name);
    for (int i = 0; import_uidls_name((enum import_uidls)i); i++)
        if (slice_eq(name, slice_of(import_uidls_name((enum import_uidls)i))))
            options->uidls = (enum import_uidls)i;
    if (!slice_eq(name, slice_of(import_uidls_name(options->uidls))))
        return false;
    if (options->uidls == IMPORT_UIDLS_CYRUS) {
        if (slice_to_u64(word, UINT32_MAX, &number) != ERR_OK || number == 0)
            return false;
        options->uidvalidity = (uint32_t)number;
        return true;
    }
    options->uidl_format = more ? word : SLICE_EMPTY;
    return !more || (options->uidls == IMPORT_UIDLS_DOVECOT && import_format_ok(word));
}

static bool is_name(const char *word)
{
    return word[0] && strlen(word) <= MAILBOX_NAME_BYTES_MAX;
}

static bool take_words(struct import *im, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        bool more = i + 1 < argc;
        if (strcmp(word, "--dry-run") == 0) {
            im->dry_run = true;
        } else if (strcmp(word, "--user") == 0) {
            im->to_user = true;
        } else if (strcmp(word, "--account") == 0) {
            im->to_account = true;
        } else if (strcmp(word, "--mailbox") == 0 && more && is_name(argv[i + 1])) {
            im->options.mailbox = slice_of(argv[++i]);
        } else if (strcmp(word, "--from") == 0 && more) {
            if (!take_format(argv[++i], &im->options.format))
                return false;
        } else if (strcmp(word, "--uidl") == 0 && more) {
            if (!take_uidls(slice_of(argv[++i]), &im->options))
                return false;
        } else if (word[0] == '-') {
            return false;
        } else if (!im->address) {
            im->address = word;
        } else if (!im->options.path) {
            im->options.path = word;
        } else {
            return false;
        }
    }
    return im->address && im->options.path && !(im->to_user && im->to_account);
}

int verb_import(const struct cli *cli, int argc, char **argv)
{
    struct import im = { .address = NULL };
    if (!take_words(&im, argc, argv)) {
        (void)fprintf(stderr, "%s\n", tr(MSG_BRING_USAGE));
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    im.config = config;
    int code = choose(&im);
    if (!code)
        code = im.to_account ? run_account(cli, &im) : run(&im);
    config_unref(config);
    return code;
}
