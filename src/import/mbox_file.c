/* An mbox as it lies on the disk. */
#include "import/import_int.h"
#include "import/lines.h"
#include "import/mbox.h"
#include "import/uids.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_KEYWORDS_MAX 64u /* more than an account may have */

struct reading {
    struct importing *import;
    struct import_lines lines;
    struct import_mbox mbox;
    struct import_body body;
    struct buf text;
    struct slice mailbox;
    int64_t date_s;       /* of the message that is being read */
    unsigned long number; /* of the message, from 1; 0: none yet */
    uint32_t uidvalidity; /* the file's, as its first message says */
};

/* ---- UIDLs ---- */

static void write_uidl(const struct reading *r, struct buf *out)
{
    const struct import_mbox *m = &r->mbox;
    struct slice format = r->import->options->uidl_format;
    struct import_uid uid = { .name = SLICE_EMPTY, .uid = m->uid, .uidvalidity = r->uidvalidity };
    enum import_uidls uidls = r->import->result->uidls;
    bool numbered = m->uid && r->uidvalidity;
    if (uidls == IMPORT_UIDLS_X_UIDL)
        buf_add(out, buf_slice(&m->uidl));
    else if (uidls == IMPORT_UIDLS_DOVECOT && numbered)
        import_format_write(format.len ? format : SLICE(IMPORT_DOVECOT_FORMAT), &uid, out);
    else if (uidls == IMPORT_UIDLS_UW && numbered)
        import_format_write(SLICE("%08Xv%08Xu"), &uid, out);
}

/* The first message that knows decides. X-UIDL is a name written down; UIDs are counted by two servers that make different names of them. */
static enum err choose_uidls(struct reading *r)
{
    struct import_result *result = r->import->result;
    const struct import_mbox *m = &r->mbox;
    if (r->import->options->uidls != IMPORT_UIDLS_AUTO || result->uidls != IMPORT_UIDLS_NONE)
        return ERR_OK;
    if (m->internal)
        result->uidls = IMPORT_UIDLS_UW;
    else if (buf_len(&m->uidl))
        result->uidls = IMPORT_UIDLS_X_UIDL;
    else if (m->uid && r->uidvalidity)
        return import_problem(r->import, ERR_SYNTAX, IMPORT_UNCLEAR, r->import->options->path);
    return ERR_OK;
}

/* ---- one message ---- */

static size_t keywords_of(const struct import_mbox *m, struct slice *out)
{
    struct slice rest = buf_slice(&m->keywords), word;
    size_t count = 0;
    while (count < MESSAGE_KEYWORDS_MAX && slice_cut(&rest, ' ', &word))
        if (word.len > 0)
            out[count++] = word;
    return count;
}

static enum err hand_on(struct reading *r)
{
    struct slice keywords[MESSAGE_KEYWORDS_MAX];
    struct buf uidl;
    buf_init(&uidl, 0);
    write_uidl(r, &uidl);
    struct import_item item = { .mailbox = r->mailbox,
        .flags = { .system = r->mbox.system,
            .keywords = keywords,
            .keyword_count = keywords_of(&r->mbox, keywords) },
        .received_s = r->date_s,
        .uidl = import_uidl_checked(r->import, buf_slice(&uidl)) };
    enum err e = import_body_end(&r->body, &item, r->date_s);
    buf_done(&uidl);
    return e;
}

static enum err end_message(struct reading *r)
{
    char path[PATH_MAX + 32];
    if (r->number == 0)
        return ERR_OK;
    import_mbox_end(&r->mbox);
    if (r->mbox.uidvalidity)
        r->uidvalidity = r->mbox.uidvalidity;
    TRY(choose_uidls(r));
    (void)snprintf(path, sizeof path, "%s (%lu)", r->import->options->path, r->number);
    enum err e = r->body.failed ? ERR_SYNTAX : r->mbox.internal ? ERR_OK : hand_on(r);
    e = import_body_verdict(&r->body, path, e);
    import_body_done(&r->body);
    r->body = (struct import_body){ .import = NULL };
    return e;
}

static enum err begin_message(struct reading *r, int64_t date_s)
{
    TRY(end_message(r));
    import_mbox_begin(&r->mbox);
    r->date_s = date_s;
    r->number++;
    return import_body_begin(r->import, &r->body);
}

static enum err take_piece(struct reading *r, const struct import_piece *piece)
{
    int64_t date_s;
    if (piece->begins && piece->ends && import_mbox_from(piece->bytes, &date_s))
        return begin_message(r, date_s);
    if (r->number == 0)
        return import_problem(r->import, ERR_SYNTAX, IMPORT_NO_MBOX, r->import->options->path);
    buf_clear(&r->text);
    import_mbox_piece(&r->mbox, piece->bytes, piece->begins, &r->text);
    if (r->body.failed)
        return ERR_OK;
    enum err e = import_body_write(&r->body, buf_slice(&r->text));
    if (e == ERR_LIMIT) {
        r->body.failed = true;
        r->body.trouble = IMPORT_TOO_LARGE;
        return ERR_OK;
    }
    return e;
}

static enum err read_all(struct reading *r)
{
    const struct import_sink *sink = r->import->sink;
    struct import_piece piece;
    enum err read;
    TRY(sink->mailbox(sink->sink_arg, r->mailbox));
    while ((read = import_lines_next(&r->lines, &piece)) == ERR_OK)
        TRY(take_piece(r, &piece));
    if (read != ERR_NOT_FOUND)
        return import_problem(r->import, read, IMPORT_NOT_OPENED, r->import->options->path);
    return end_message(r);
}

enum err import_mbox_file(struct importing *import, enum import_format format)
{
    const char *path = import->options->path;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return import_problem(import, err_from_errno(errno), IMPORT_NOT_OPENED, path);
    struct reading r = { .import = import,
        .mailbox = import->options->mailbox.len ? import->options->mailbox : SLICE("INBOX") };
    if (import->options->uidls != IMPORT_UIDLS_AUTO)
        import->result->uidls = import->options->uidls;
    import_lines_init(&r.lines, fd);
    import_mbox_init(&r.mbox, format == IMPORT_MBOX_O ? IMPORT_MBOXO : IMPORT_MBOXRD);
    buf_init(&r.text, 0);
    enum err e = read_all(&r);
    import_body_done(&r.body);
    buf_done(&r.text);
    import_mbox_done(&r.mbox);
    import_lines_done(&r.lines);
    return e;
}
