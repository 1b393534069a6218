/* APPEND and MULTIAPPEND (RFC 3501 §6.3.11, RFC 3502, RFC 4315 §3, RFC 7889, RFC 3516 §4.4).
 *
 * Messages come in before the command is complete, each into a blob. A refused command whose bytes come all the same ("{n+}") is read to its end
 * and thrown away; the answer waits until then. Nothing is filed before the last CRLF, and then all at once. */
#include "server/imap/imapd_int.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* A refused message is read and thrown away up to this many times message_bytes_max; more, and the connection ends. */
#define DISCARD_TIMES 4u

struct imapd_append {
    struct buf text;     /* the command without its messages */
    struct blob **blobs; /* owned; complete but for the last one */
    size_t count, cap;
    uint64_t left;    /* bytes of the last message still to come */
    const char *code; /* why it is refused; NULL while all is well */
    const char *reason;
    bool syntax;   /* BAD, not NO */
    bool literal8; /* the last message may hold NUL as far as syntax goes */
};

void imapd_append_free(struct imapd_append *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        blob_unref(a->blobs[i]);
    free(a->blobs);
    buf_done(&a->text);
    free(a);
}

struct slice imapd_append_text(const struct imapd_append *a)
{
    return buf_slice(&a->text);
}

static void refuse(struct imapd_append *a, const char *code, const char *reason)
{
    if (a->code)
        return;
    a->code = code;
    a->reason = reason;
}

static void refuse_err(struct imapd_append *a, enum err e)
{
    if (e == ERR_LIMIT)
        refuse(a, "[TOOBIG]", "The message is larger than this server takes");
    else if (e == ERR_NO_SPACE)
        refuse(a, "[UNAVAILABLE]", "No space left on the server");
    else
        refuse(a, "[UNAVAILABLE]", "The server's storage fails, try again later");
}

/* Of several messages: else a command could put some hundred times message_bytes_max on the disk before it is refused. One alone may be the copy of a sent
 * message that is there already and costs nothing; that is known when it has come. */
static bool over_quota(struct imapd_session *s, const struct imap_append_args *args)
{
    uint64_t bytes = 0; /* each was at most message_bytes_max */
    for (size_t i = 0; i < args->count; i++)
        bytes += args->items[i].literal;
    return args->count > 1 && !account_quota_fits(s->account, bytes, args->count);
}

/* What can be known before the bytes come. */
static void check_header(
    struct imapd_session *s, struct imapd_append *a, struct imapd_cmd *cmd, uint64_t bytes)
{
    struct imap_append_args args;
    enum err e = imap_parse_append(&cmd->parse, &args);
    if (e == ERR_SYNTAX) {
        a->syntax = true;
        refuse(a, "", "The command cannot be understood");
    } else if (e != ERR_OK) {
        refuse(a, "[LIMIT]", "More than this server allows");
    }
    if (a->code)
        return;
    a->literal8 = args.items[args.count - 1].literal8;
    struct mailbox mailbox;
    e = imapd_mailbox(s, args.mailbox, &mailbox);
    if (e == ERR_NOT_FOUND)
        refuse(a, "[TRYCREATE]", "No such mailbox");
    else if (e != ERR_OK)
        refuse_err(a, e);
    else if (bytes > s->message_bytes_max)
        refuse(a, "[TOOBIG]", "The message is larger than this server takes");
    else if (over_quota(s, &args))
        refuse(a, "[OVERQUOTA]", "The quota is used up");
    else if (bytes == 0) /* also how a client cancels (RFC 3502 §6.3.11) */
        refuse(a, "", "An empty message; nothing is appended");
}

static enum err answer_refusal(
    struct imapd_session *s, struct imapd_append *a, struct imapd_cmd *cmd)
{
    return a->syntax ? imapd_bad(s, cmd, a->reason) : imapd_no(s, cmd, a->code, a->reason);
}

static void add_blob(struct imapd_session *s, struct imapd_append *a)
{
    if (a->count == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 4;
        a->blobs = mem_realloc(a->blobs, a->cap * sizeof *a->blobs);
    }
    struct blob *blob;
    enum err e = blob_new(s->server->store, s->message_bytes_max, &blob);
    if (e == ERR_OK)
        a->blobs[a->count++] = blob;
    else
        refuse_err(a, e);
}

enum err imapd_append_header(struct imapd_session *s, struct slice frame, uint64_t bytes, bool sync)
{
    if (!s->append) {
        s->append = mem_zalloc(1, sizeof *s->append);
        buf_init(&s->append->text, IMAP_FRAME_BYTES_MAX + IMAP_LINE_BYTES_MAX);
    }
    struct imapd_append *a = s->append;
    buf_add(&a->text, frame);
    struct imapd_cmd cmd = { 0 };
    struct slice name;
    imap_parse_init(&cmd.parse, buf_slice(&a->text), &s->arena);
    enum err e = imap_parse_command(&cmd.parse, &cmd.tag, &name, &cmd.uid);
    if (e != ERR_OK || cmd.uid) { /* such a tag has no answer */
        buf_adds(imapd_out(s), "* BYE No usable command\r\n");
        return ERR_CLOSED;
    }
    check_header(s, a, &cmd, bytes);
    if (!a->code)
        add_blob(s, a);
    a->left = bytes;
    if (a->code && sync) {
        enum err answered = answer_refusal(s, a, &cmd);
        imapd_append_free(a);
        s->append = NULL;
        return answered == ERR_OK ? ERR_DENIED : answered;
    }
    if (a->code && bytes / DISCARD_TIMES > s->message_bytes_max) {
        buf_adds(imapd_out(s), "* BYE The message is far too large\r\n");
        return ERR_CLOSED;
    }
    if (sync)
        buf_adds(imapd_out(s), "+ Go on\r\n");
    return ERR_OK;
}

bool imapd_append_bytes(struct imapd_session *s, struct buf *input)
{
    struct imapd_append *a = s->append;
    struct slice bytes = buf_slice(input);
    if (bytes.len > a->left)
        bytes.len = (size_t)a->left;
    if (bytes.len && !a->code && memchr(bytes.ptr, 0, bytes.len)) {
        a->syntax = !a->literal8; /* RFC 3501 §9: NUL is no CHAR8 */
        refuse(a, a->literal8 ? "[UNKNOWN-CTE]" : "", "A message holds no NUL");
    }
    if (bytes.len && !a->code) {
        enum err e = blob_write(a->blobs[a->count - 1], bytes);
        if (e != ERR_OK)
            refuse_err(a, e);
    }
    a->left -= bytes.len;
    buf_consume(input, bytes.len);
    if (a->left)
        return false;
    if (!a->code) {
        enum err e = blob_finish(a->blobs[a->count - 1]);
        if (e != ERR_OK)
            refuse_err(a, e);
    }
    return true;
}

static enum err answer_appended(struct imapd_session *s, struct imapd_cmd *cmd,
    const struct store_append_result *result, size_t count)
{
    struct buf code;
    buf_init(&code, 0);
    buf_adds(&code, "[APPENDUID ");
    buf_addu(&code, result->uidvalidity);
    buf_addc(&code, ' ');
    buf_addu(&code, result->uid_first);
    if (count > 1) {
        buf_addc(&code, ':');
        buf_addu(&code, result->uid_first + count - 1);
    }
    buf_addc(&code, ']');
    buf_addc(&code, 0);
    enum err e = imapd_ok(s, cmd, buf_slice(&code).ptr, "Appended");
    buf_done(&code);
    return e;
}

static enum err file(struct imapd_session *s, struct imapd_append *a, struct imapd_cmd *cmd)
{
    struct imap_append_args args;
    TRY(imap_parse_append(&cmd->parse, &args));
    if (args.partial || args.count != a->count)
        return ERR_SYNTAX;
    struct mailbox mailbox;
    enum err e = imapd_mailbox(s, args.mailbox, &mailbox);
    if (e == ERR_NOT_FOUND)
        return imapd_no(s, cmd, "[TRYCREATE]", "No such mailbox");
    TRY(e);
    struct store_append *items = arena_zalloc(&s->arena, a->count, sizeof *items);
    if (!items)
        return ERR_LIMIT;
    int64_t now_s = clock_wall_s();
    for (size_t i = 0; i < a->count; i++) {
        items[i].blob = a->blobs[i];
        items[i].flags = imapd_store_flags(&args.items[i].flags);
        items[i].received_s = args.items[i].has_date ? args.items[i].date_s : now_s;
        items[i].received_tz_min = args.items[i].date_tz_min;
    }
    struct store_append_result result = { 0 };
    e = account_append(s->account, mailbox.id, items, a->count, &result);
    if (e == ERR_NOT_FOUND)
        return imapd_no(s, cmd, "[TRYCREATE]", "No such mailbox");
    if (e == ERR_NO_SPACE && result.over_quota)
        return imapd_no(s, cmd, "[OVERQUOTA]", "The quota is used up");
    TRY(e);
    return answer_appended(s, cmd, &result, a->count);
}

enum err imapd_append_end(struct imapd_session *s, struct slice frame)
{
    struct imapd_append *a = s->append;
    s->append = NULL;
    buf_add(&a->text, frame);
    struct imapd_cmd cmd = { 0 };
    struct slice name;
    imap_parse_init(&cmd.parse, buf_slice(&a->text), &s->arena);
    enum err e = buf_err(&a->text);
    if (e == ERR_OK)
        e = imap_parse_command(&cmd.parse, &cmd.tag, &name, &cmd.uid);
    if (e == ERR_OK && a->code)
        e = answer_refusal(s, a, &cmd);
    else if (e == ERR_OK)
        e = file(s, a, &cmd);
    if (e != ERR_OK && !cmd.answered)
        e = imapd_fail(s, &cmd, e);
    imapd_append_free(a);
    return e;
}

/* APPEND without a message: the framer saw no literal. */
enum err imapd_cmd_append(struct imapd_session *s, struct imapd_cmd *cmd)
{
    return imapd_bad(s, cmd, "APPEND needs a message");
}
