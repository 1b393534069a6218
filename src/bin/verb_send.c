/* The send verb: a message goes into the queue first, durably, and from there to the server. */
#include "bin/verb_send.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "bin/json.h"
#include "bin/send_common.h"
#include "client/smtp/smtpc_compose.h"
#include "client/smtp/smtpc_intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list {
    const char **all; /* owned array of borrowed words, NULL-terminated */
    size_t count;
};

struct wanted {
    const char *account, *from, *name, *subject, *text, *ret, *envid;
    char *notify; /* owned */
    struct list to, cc, bcc, attach, recipients;
    bool take_recipients, dot_is_text, flush, later, composes;
};

static void list_add(struct list *list, const char *word)
{
    list->all = mem_realloc(list->all, (list->count + 2) * sizeof *list->all);
    list->all[list->count++] = word;
    list->all[list->count] = NULL;
}

static void wanted_done(struct wanted *wanted)
{
    free(wanted->to.all);
    free(wanted->cc.all);
    free(wanted->bcc.all);
    free(wanted->attach.all);
    free(wanted->recipients.all);
    free(wanted->notify);
}

/* ---- words of the command line ---- */

static bool take_ret(struct wanted *wanted, const char *value)
{
    bool full = slice_eq_nocase(slice_of(value), SLICE("full"));
    if (!full && !slice_eq_nocase(slice_of(value), SLICE("hdrs")))
        return false;
    wanted->ret = full ? "FULL" : "HDRS";
    return true;
}

/* "never", or words of "success,failure,delay" (RFC 3461 §4.1). */
static bool take_notify(struct wanted *wanted, const char *value)
{
    static const char *const words[] = { "success", "failure", "delay" };
    struct slice rest = slice_of(value), word;
    free(wanted->notify);
    wanted->notify = mem_strdup(value);
    for (char *c = wanted->notify; *c; c++)
        *c = ascii_upper(*c);
    if (slice_eq_nocase(rest, SLICE("never")))
        return true;
    if (rest.len == 0 || rest.ptr[rest.len - 1] == ',')
        return false;
    while (slice_cut(&rest, ',', &word)) {
        bool known = false;
        for (size_t i = 0; i < 3; i++)
            known |= slice_eq_nocase(word, slice_of(words[i]));
        if (!known)
            return false;
    }
    return true;
}

/* Options with a value: the word as a whole, or for sendmail's the value behind the letter. */
enum option {
    OPTION_NONE,
    OPTION_ACCOUNT,
    OPTION_FROM,
    OPTION_NAME,
    OPTION_TO,
    OPTION_CC,
    OPTION_BCC,
    OPTION_SUBJECT,
    OPTION_TEXT,
    OPTION_ATTACH,
    OPTION_NOTIFY,
    OPTION_RET,
    OPTION_ENVID,
    OPTION_IGNORED,
};

static enum option option_of(const char *word, const char **out_value)
{
    static const struct {
        const char *name;
        enum option option;
    } names[] = {
        { "--account", OPTION_ACCOUNT },
        { "--from", OPTION_FROM },
        { "--to", OPTION_TO },
        { "--cc", OPTION_CC },
        { "--bcc", OPTION_BCC },
        { "--subject", OPTION_SUBJECT },
        { "--text", OPTION_TEXT },
        { "--attach", OPTION_ATTACH },
    };
    static const struct {
        char letter;
        enum option option;
    } letters[] = { { 'a', OPTION_ACCOUNT }, { 'f', OPTION_FROM }, { 'r', OPTION_FROM },
        { 'F', OPTION_NAME }, { 'N', OPTION_NOTIFY }, { 'R', OPTION_RET }, { 'V', OPTION_ENVID },
        { 'B', OPTION_IGNORED }, { 'O', OPTION_IGNORED }, { 'L', OPTION_IGNORED } };
    *out_value = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i].name) == 0)
            return names[i].option;
    for (size_t i = 0; word[0] == '-' && i < sizeof letters / sizeof *letters; i++)
        if (word[1] == letters[i].letter) {
            *out_value = word[2] ? word + 2 : NULL;
            return letters[i].option;
        }
    return OPTION_NONE;
}

/* EX_OK, or the exit code after saying why. */
static int take_option(struct wanted *wanted, enum option option, const char *value)
{
    wanted->composes |= option >= OPTION_TO && option <= OPTION_ATTACH;
    switch (option) {
    case OPTION_ACCOUNT:
        wanted->account = value;
        break;
    case OPTION_FROM:
        wanted->from = strcmp(value, "<>") == 0 ? "" : value;
        break;
    case OPTION_NAME:
        wanted->name = value;
        break;
    case OPTION_TO:
        list_add(&wanted->to, value);
        break;
    case OPTION_CC:
        list_add(&wanted->cc, value);
        break;
    case OPTION_BCC:
        list_add(&wanted->bcc, value);
        break;
    case OPTION_SUBJECT:
        wanted->subject = value;
        break;
    case OPTION_TEXT:
        wanted->text = value;
        break;
    case OPTION_ATTACH:
        list_add(&wanted->attach, value);
        break;
    case OPTION_ENVID:
        wanted->envid = value;
        break;
    case OPTION_NOTIFY:
    case OPTION_RET:
        if (option == OPTION_RET ? take_ret(wanted, value) : take_notify(wanted, value))
            break;
        cli_error(MSG_SEND_DSN_BAD);
        return EX_USAGE;
    default:
        break;
    }
    return EX_OK;
}

/* Flags, and what sendmail knows and means nothing here (-bm, -oem, -m, -v ...). */
static bool take_flag(struct wanted *wanted, const char *word)
{
    if (strcmp(word, "--flush") == 0)
        wanted->flush = true;
    else if (strcmp(word, "--later") == 0)
        wanted->later = true;
    else if (strcmp(word, "-t") == 0)
        wanted->take_recipients = true;
    else if (strcmp(word, "-i") == 0 || strcmp(word, "-oi") == 0)
        wanted->dot_is_text = true;
    else if (strcmp(word, "-ti") == 0 || strcmp(word, "-it") == 0)
        wanted->take_recipients = wanted->dot_is_text = true;
    else
        return strcmp(word, "-bm") == 0 || strcmp(word, "-m") == 0 || strcmp(word, "-n") == 0 ||
               strcmp(word, "-v") == 0 || strcmp(word, "-U") == 0 || strncmp(word, "-o", 2) == 0;
    return true;
}

static int read_words(int argc, char **argv, struct wanted *wanted)
{
    bool words_only = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at], *value = NULL;
        if (words_only || word[0] != '-' || !word[1]) {
            list_add(&wanted->recipients, word);
            continue;
        }
        if (strcmp(word, "--") == 0) {
            words_only = true;
            continue;
        }
        if (take_flag(wanted, word))
            continue;
        enum option option = option_of(word, &value);
        if (option == OPTION_NONE) {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        }
        if (!value && ++at == argc) {
            cli_error(MSG_OPTION_NEEDS_VALUE, word);
            return EX_USAGE;
        }
        int code = take_option(wanted, option, value ? value : argv[at]);
        if (code)
            return code;
    }
    return EX_OK;
}

/* ---- into the queue ---- */

struct sending {
    const struct wanted *wanted;
    struct client_use *use;
    struct smtpc_queue queue;
    struct smtpc_record record;
    char id[SMTPC_ID_CHARS + 1];
};

static int message_failed(enum err e, const struct err_note *note, bool address)
{
    if (e == ERR_SYNTAX || e == ERR_LIMIT) {
        cli_error(address ? MSG_SEND_BAD_ADDRESS : MSG_SEND_BAD_MESSAGE, note->text);
        return EX_DATAERR;
    }
    cli_error(MSG_SEND_NOT_KEPT, note->text);
    return e == ERR_NOT_FOUND || e == ERR_DENIED ? EX_NOINPUT : EX_IOERR;
}

/* The account that the message itself belongs to, when none is named. */
static int choose_account(struct sending *s, const struct smtpc_intake *intake)
{
    const char *name = s->wanted->account;
    if (!name && s->wanted->from && client_accounts_find(&s->use->accounts, s->wanted->from) &&
        s->wanted->from[0])
        name = s->wanted->from;
    if (name)
        return client_use_choose(s->use, name);
    struct buf from;
    buf_init(&from, 0);
    if (intake)
        smtpc_intake_from(intake, &from);
    buf_addc(&from, '\0');
    const char *address = buf_slice(&from).ptr;
    if (!client_accounts_find(&s->use->accounts, address))
        address = NULL;
    int code = client_use_choose(s->use, address);
    buf_done(&from);
    return code;
}

static int begin_record(struct sending *s)
{
    const struct client_account *account = s->use->account;
    const char *from = s->wanted->from ? s->wanted->from : account->address;
    bool utf8 = false;
    if (from[0] && !smtpc_address_ok(from, &utf8)) {
        cli_error(MSG_SEND_BAD_ADDRESS, from);
        return EX_USAGE;
    }
    s->record.from = mem_strdup(from);
    s->record.needs_utf8 = utf8;
    s->record.envid = s->wanted->envid ? mem_strdup(s->wanted->envid) : NULL;
    s->record.ret = s->wanted->ret ? mem_strdup(s->wanted->ret) : NULL;
    s->record.notify = s->wanted->notify ? mem_strdup(s->wanted->notify) : NULL;
    s->record.created_s = clock_wall_s();
    s->record.copy = account->sent_copy == CLIENT_SENT_SERVER ? SMTPC_COPY_SERVER
                     : account->sent_copy == CLIENT_SENT_APPEND && account->imap.host
                         ? SMTPC_COPY_DUE
                         : SMTPC_COPY_NONE;
    return EX_OK;
}

/* A program that was not told whether a message was taken sends it again, with the same Message-ID: it is here once. */
static bool is_there(struct sending *s)
{
    struct smtpc_ids ids;
    struct err_note note;
    bool there = false;
    if (smtpc_queue_ids(&s->queue, &ids, &note))
        return false;
    for (size_t i = 0; !there && i < ids.count; i++) {
        struct smtpc_record other;
        if (smtpc_queue_read(&s->queue, ids.all[i], &other, &note))
            continue;
        there = s->record.message_id[0] && strcmp(other.message_id, s->record.message_id) == 0 &&
                other.bytes == s->record.bytes && other.count == s->record.count &&
                smtpc_record_count(&other, SMTPC_WAITS) == other.count;
        for (size_t k = 0; there && k < other.count; k++)
            there = strcmp(other.recipients[k].address, s->record.recipients[k].address) == 0;
        if (there)
            memcpy(s->id, ids.all[i], sizeof s->id);
        smtpc_record_done(&other);
    }
    free(ids.all);
    return there;
}

static enum err add_words(struct sending *s, struct err_note *note)
{
    for (size_t i = 0; i < s->wanted->recipients.count; i++)
        TRY(smtpc_add_addresses(&s->record, slice_of(s->wanted->recipients.all[i]), note));
    return ERR_OK;
}

static int add_to_queue(struct sending *s, struct smtpc_intake *intake, bool take_recipients)
{
    const struct client_account *account = s->use->account;
    struct err_note note = { "" };
    struct smtpc_draft draft = { .fd = -1 };
    struct smtpc_intake_options options = {
        .recipients = take_recipients,
        .address = account->address,
        .real_name = s->wanted->name ? s->wanted->name : account->real_name,
        .now_s = s->record.created_s,
    };
    enum err e = smtpc_queue_open(s->use->state_folder, &s->queue, &note);
    if (!e)
        e = smtpc_draft_begin(&s->queue, &draft, &note);
    if (e)
        return message_failed(e, &note, false);
    e = add_words(s, &note);
    bool address = e != ERR_OK;
    if (!e)
        e = smtpc_intake_finish(intake, &options, draft.fd, &s->record, &note);
    int code = EX_OK;
    if (e) {
        /* a note that has no sentence in it is an address */
        code =
            message_failed(e, &note, address || !strchr(note.text, ' ') || strchr(note.text, '@'));
    } else if (s->record.count == 0) {
        cli_error(MSG_SEND_NO_RECIPIENT);
        code = EX_USAGE;
    }
    if (code || is_there(s)) {
        smtpc_draft_drop(&s->queue, &draft);
        return code;
    }
    memcpy(s->id, draft.id, sizeof s->id);
    e = smtpc_draft_add(&s->queue, &draft, &s->record, &note);
    return e ? message_failed(e, &note, false) : EX_OK;
}

static int take_message(struct sending *s, int fd, bool chosen, bool dot_ends, bool take_recipients)
{
    struct smtpc_intake intake;
    struct err_note note = { "" };
    smtpc_intake_init(&intake, fd, dot_ends);
    enum err e = smtpc_intake_header(&intake, &note);
    int code = e ? message_failed(e, &note, false) : EX_OK;
    if (!code && !chosen)
        code = choose_account(s, &intake);
    if (!code)
        code = begin_record(s);
    if (!code)
        code = add_to_queue(s, &intake, take_recipients);
    smtpc_intake_done(&intake);
    return code;
}

/* ---- a message of parts ---- */

/* A file that is gone when we are. */
static int open_scratch(const char *folder)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/compose.XXXXXX", folder) < 0)
        return -1;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static int compose(struct sending *s)
{
    const struct wanted *w = s->wanted;
    const struct client_account *account;
    struct err_note note = { "" };
    int code = choose_account(s, NULL);
    if (code)
        return code;
    account = s->use->account;
    struct smtpc_compose parts = {
        .from = w->from && w->from[0] ? w->from : account->address,
        .real_name = w->name ? w->name : account->real_name,
        .to = w->to.all,
        .cc = w->cc.all,
        .bcc = w->bcc.all,
        .subject = w->subject,
        .text_fd = -1,
        .attach = w->attach.all,
    };
    autoclose int scratch = open_scratch(s->use->state_folder), text = -1;
    if (w->text && strcmp(w->text, "-") != 0) {
        text = open(w->text, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (text < 0)
            return message_failed(
                err_noted(&note, err_from_errno(errno), "%s: %s", w->text, strerror(errno)), &note,
                false);
    }
    parts.text_fd = text >= 0 ? text : w->text || w->attach.count == 0 ? 0 : -1;
    enum err e = scratch < 0 ? err_noted(&note, ERR_IO, "%s", strerror(errno))
                             : smtpc_compose(&parts, scratch, &note);
    if (e)
        return message_failed(e, &note, strchr(note.text, '@') != NULL);
    if (lseek(scratch, 0, SEEK_SET) < 0)
        return EX_IOERR;
    return take_message(s, scratch, true, false, true);
}

/* ---- what became of it ---- */

static void say_recipients(
    const struct smtpc_record *record, enum smtpc_fate fate, enum message_id text)
{
    struct buf why;
    buf_init(&why, 0);
    for (size_t i = 0; i < record->count; i++) {
        if (record->recipients[i].outcome.fate != fate)
            continue;
        buf_clear(&why);
        send_add_outcome(&record->recipients[i].outcome, &why);
        buf_addc(&why, '\0');
        cli_error(text, record->recipients[i].address, buf_slice(&why).ptr);
    }
    buf_done(&why);
}

static void print_json(const struct sending *s, const char *state)
{
    printf("{\"id\":\"%s\",\"account\":", s->id);
    json_print(slice_of(s->use->account->name));
    printf(",\"message_id\":");
    json_print(slice_of(s->record.message_id));
    printf(",\"state\":\"%s\"}\n", state);
}

/* code: of the run over the queue. Exit 0: it is sent, or will be; the caller has done its part. */
static int say_fate(const struct cli *cli, struct sending *s, int code)
{
    struct smtpc_record now;
    struct err_note note = { "" };
    enum err e = smtpc_queue_read(&s->queue, s->id, &now, &note);
    bool gone = e == ERR_NOT_FOUND;
    if (e && !gone) {
        cli_error_text(note.text);
        return EX_SOFTWARE;
    }
    size_t refused = gone ? 0 : smtpc_record_count(&now, SMTPC_REFUSED);
    size_t waits = gone ? 0 : smtpc_record_count(&now, SMTPC_WAITS);
    const char *state = refused ? "refused" : waits ? "waits" : "sent";
    if (refused) {
        say_recipients(&now, SMTPC_REFUSED, MSG_SEND_REFUSED);
        cli_error_more(MSG_SEND_REFUSED_KEPT, s->id, s->id, s->id);
        code = EX_UNAVAILABLE;
    } else if (waits) {
        if (!code)
            say_recipients(&now, SMTPC_WAITS, MSG_SEND_WAITS);
        bool passes = code == EX_OK || code == EX_TEMPFAIL;
        cli_error_more(passes ? MSG_SEND_KEPT : MSG_SEND_KEPT_FAULT, s->id);
        code = passes ? EX_OK : code;
    } else {
        if (s->wanted->composes && !cli->json)
            cli_say(MSG_SEND_DONE, s->record.count);
        code = EX_OK; /* whatever befell others in the queue */
    }
    if (cli->json)
        print_json(s, state);
    if (!gone)
        smtpc_record_done(&now);
    return code;
}

static int send_now(const struct cli *cli, struct sending *s)
{
    struct err_note note = { "" };
    struct smtpc_flush_result result;
    if (s->wanted->later) {
        if (cli->json)
            print_json(s, "waits");
        else
            cli_say(MSG_SEND_KEPT, s->id);
        return EX_OK;
    }
    if (smtpc_queue_lock(&s->queue, SEND_LOCK_WAIT_MS, &note)) {
        cli_error(MSG_SEND_BUSY, s->id);
        if (cli->json)
            print_json(s, "waits");
        return EX_OK;
    }
    return say_fate(cli, s, send_flush(s->use, &s->queue, NULL, false, &result));
}

static int send_message(const struct cli *cli, struct client_use *use, const struct wanted *wanted)
{
    struct sending s = { .wanted = wanted, .use = use, .queue = { .folder = -1, .lock = -1 } };
    int code = wanted->composes
                   ? compose(&s)
                   : take_message(&s, 0, false, !wanted->dot_is_text, wanted->take_recipients);
    if (!code)
        code = send_now(cli, &s);
    smtpc_record_done(&s.record);
    smtpc_queue_close(&s.queue);
    return code;
}

/* ---- flush ---- */

static int flush_account(const struct cli *cli, struct client_use *use, const char *name)
{
    struct smtpc_queue queue = { .folder = -1, .lock = -1 };
    struct smtpc_flush_result result;
    struct err_note note = { "" };
    int code = client_use_choose(use, name);
    if (code)
        return code;
    enum err e = smtpc_queue_open(use->state_folder, &queue, &note);
    if (!e)
        e = smtpc_queue_lock(&queue, SEND_LOCK_WAIT_MS, &note);
    if (e) {
        if (e == ERR_BUSY)
            cli_error(MSG_QUEUE_BUSY);
        else
            cli_error_text(note.text);
        code = e == ERR_BUSY ? EX_TEMPFAIL : EX_IOERR;
    } else {
        code = send_flush(use, &queue, NULL, false, &result);
        if (!cli->json && result.sent + result.waiting + result.refused > 0)
            cli_say(
                MSG_SEND_FLUSHED, use->account->name, result.sent, result.waiting, result.refused);
        if (!code && result.refused > 0)
            code = EX_UNAVAILABLE;
        else if (!code && result.waiting > 0)
            code = EX_TEMPFAIL;
    }
    smtpc_queue_close(&queue);
    return code;
}

/* Every account, also after one that failed; the first failure is the exit code. */
static int flush_all(const struct cli *cli, struct client_use *use, const char *only)
{
    int first = EX_OK;
    for (size_t i = 0; i < use->accounts.count; i++) {
        const struct client_account *account = &use->accounts.all[i];
        if (only ? account != client_accounts_find(&use->accounts, only) : !account->smtp.host)
            continue;
        int code = flush_account(cli, use, account->name);
        first = first ? first : code;
    }
    if (only && !client_accounts_find(&use->accounts, only))
        return client_use_choose(use, only);
    return first;
}

int verb_send(const struct cli *cli, int argc, char **argv)
{
    struct wanted wanted = { 0 };
    struct client_use use;
    int code = read_words(argc, argv, &wanted);
    if (!code) {
        code = client_use_load(&use);
        if (!code && wanted.flush)
            code = flush_all(cli, &use, wanted.account);
        else if (!code)
            code = send_message(cli, &use, &wanted);
        client_use_done(&use);
    }
    wanted_done(&wanted);
    return code;
}
