/* What happened in the selected mailbox, told between commands (RFC 3501 §5.2, §7.3, §7.4; RFC 7162 §3.2.10). */
#include "server/imap/imapd_int.h"

enum err imapd_keywords(struct imapd_session *s, uint64_t flags)
{
    uint64_t words = flags >> STORE_KEYWORD_BIT_FIRST;
    if (s->keyword_count >= 64 || !(words >> s->keyword_count))
        return ERR_OK;
    arena_reset(&s->keyword_arena);
    s->keyword_count = 0;
    return account_keywords(s->account, &s->keyword_arena, &s->keywords, &s->keyword_count);
}

uint64_t imapd_keyword_bit(struct imapd_session *s, struct slice name)
{
    for (size_t i = 0; i < s->keyword_count; i++)
        if (slice_eq_nocase(name, s->keywords[i]))
            return 1ull << (STORE_KEYWORD_BIT_FIRST + i);
    return 0;
}

void imapd_write_flags(struct imapd_session *s, uint32_t uid, uint64_t flags)
{
    struct buf *out = imapd_out(s);
    unsigned system = (unsigned)(flags & STORE_SYSTEM_FLAGS);
    if (s->view.recent.count && uidset_has(&s->view.recent, uid))
        system |= IMAP_RECENT;
    buf_add(out, SLICE("FLAGS "));
    uint64_t words = flags >> STORE_KEYWORD_BIT_FIRST;
    if (!words && !system) {
        buf_add(out, SLICE("()"));
        return;
    }
    if (!words && system == IMAP_SEEN) {
        buf_add(out, SLICE("(\\Seen)"));
        return;
    }
    struct slice names[64];
    size_t count = 0;
    for (size_t i = 0; i < s->keyword_count; i++)
        if (words & 1ull << i)
            names[count++] = s->keywords[i];
    imap_write_flags(out, system, names, count);
}

void imapd_write_flags_lines(struct imapd_session *s, bool permanent)
{
    struct buf *out = imapd_out(s);
    buf_adds(out, "* FLAGS ");
    imap_write_flags(out, STORE_SYSTEM_FLAGS, s->keywords, s->keyword_count);
    buf_adds(out, "\r\n");
    if (!permanent)
        return;
    buf_adds(out, "* OK [PERMANENTFLAGS ");
    if (s->readonly) {
        buf_adds(out, "()] No flags can be changed here\r\n");
        return;
    }
    imap_write_flags(out, STORE_SYSTEM_FLAGS, s->keywords, s->keyword_count);
    buf_truncate(out, buf_len(out) - 1);
    buf_adds(out, s->keyword_count < KEYWORDS_MAX ? " \\*)] Flags\r\n" : ")] Flags\r\n");
}

uint64_t imapd_known_modseq(const struct imapd_session *s)
{
    return s->view.modseq < s->view.gone_modseq ? s->view.modseq : s->view.gone_modseq;
}

void imapd_close_mailbox(struct imapd_session *s)
{
    if (s->state != IMAPD_SELECTED)
        return;
    store_view_done(&s->view);
    s->state = IMAPD_LOGGED_IN;
}

static void tell_gone(struct imapd_session *s, const struct uidset *vanished)
{
    struct buf *out = imapd_out(s);
    if (s->qresync) {
        buf_adds(out, "* VANISHED ");
        uidset_write(vanished, out);
        buf_adds(out, "\r\n");
        return;
    }
    /* From the last one down, so that each number is the one the client still counts by. */
    struct uidset before;
    uidset_init(&before);
    uidset_copy(&before, &s->view.uids);
    uidset_union(&before, vanished);
    for (size_t i = vanished->count; i-- > 0;) {
        const struct uid_run *run = &vanished->runs[i];
        uint32_t first = uidset_rank(&before, run->first);
        for (uint32_t n = run->last - run->first + 1; n-- > 0;) {
            buf_add(out, SLICE("* "));
            buf_addu(out, first + n);
            buf_add(out, SLICE(" EXPUNGE\r\n"));
        }
    }
    uidset_done(&before);
}

/* "* n FETCH (...)" of a row that changed, unless the command's own change makes it quiet. */
static enum err tell_row(struct imapd_session *s, const struct store_row *row, bool with_uid,
    const struct imapd_own *own)
{
    struct buf *out = imapd_out(s);
    bool quiet =
        own && own->silent && row->modseq == own->modseq && uidset_has(own->silent, row->uid);
    uint32_t number = uidset_rank(&s->view.uids, row->uid);
    if (!number || (quiet && !s->condstore))
        return ERR_OK;
    if (own && own->told)
        uidset_add(own->told, row->uid);
    buf_add(out, SLICE("* "));
    buf_addu(out, number);
    buf_add(out, SLICE(" FETCH ("));
    if (with_uid || s->qresync) {
        buf_add(out, SLICE("UID "));
        buf_addu(out, row->uid);
        buf_addc(out, ' ');
    }
    if (!quiet)
        imapd_write_flags(s, row->uid, row->flags);
    if (s->condstore) {
        buf_adds(out, quiet ? "MODSEQ (" : " MODSEQ (");
        buf_addu(out, row->modseq);
        buf_addc(out, ')');
    }
    buf_add(out, SLICE(")\r\n"));
    return conn_flush_full(s->conn);
}

static enum err tell_rows(struct imapd_session *s, const struct store_row *rows, size_t count,
    bool with_uid, const struct imapd_own *own)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= rows[i].flags;
    size_t known = s->keyword_count;
    TRY(imapd_keywords(s, all));
    if (known != s->keyword_count)
        imapd_write_flags_lines(s, true);
    for (size_t i = 0; i < count; i++)
        TRY(tell_row(s, &rows[i], with_uid, own));
    return ERR_OK;
}

/* The view is past them, so that all are told now; one that changes once more meanwhile is told twice. */
static enum err tell_many(struct imapd_session *s, const struct store_view_changes *changes,
    const struct uidset *uids, bool with_uid, const struct imapd_own *own)
{
    struct store_read_args read = {
        .mailbox = s->view.mailbox, .uids = uids, .modseq_above = changes->changed_above
    };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        TRY(tell_rows(s, rows.at, rows.count, with_uid, own));
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

static enum err tell_flags(struct imapd_session *s, const struct store_view_changes *changes,
    bool with_uid, const struct imapd_own *own)
{
    if (!changes->changed_many)
        return tell_rows(s, changes->changed, changes->changed_count, with_uid, own);
    struct uidset uids;
    uidset_init(&uids);
    uidset_copy(&uids, &s->view.uids);
    uidset_subtract(&uids, &changes->added); /* the client asks for those itself */
    enum err e = tell_many(s, changes, &uids, with_uid, own);
    uidset_done(&uids);
    return e;
}

static enum err mailbox_gone(struct imapd_session *s)
{
    imapd_close_mailbox(s);
    buf_adds(imapd_out(s), "* BYE The selected mailbox was deleted\r\n");
    s->logging_out = true;
    return ERR_NOT_FOUND;
}

static enum err tell(struct imapd_session *s, const struct store_view_changes *changes,
    bool with_uid, const struct imapd_own *own)
{
    struct buf *out = imapd_out(s);
    if (!uidset_empty(&changes->vanished))
        tell_gone(s, &changes->vanished);
    if (!uidset_empty(&changes->added)) {
        buf_adds(out, "* ");
        buf_addu(out, uidset_members(&s->view.uids));
        buf_adds(out, " EXISTS\r\n* ");
        buf_addu(out, uidset_members(&s->view.recent));
        buf_adds(out, " RECENT\r\n");
    }
    bool changed = changes->changed_count || changes->changed_many;
    return changed ? tell_flags(s, changes, with_uid, own) : ERR_OK;
}

enum err imapd_update(
    struct imapd_session *s, bool expunges, bool with_uid, const struct imapd_own *own)
{
    if (s->state != IMAPD_SELECTED)
        return ERR_OK;
    struct store_view_changes changes;
    arena_reset(&s->rows);
    TRY(store_view_update(s->account, &s->view, expunges, !s->readonly, &s->rows, &changes));
    enum err e = changes.mailbox_gone ? mailbox_gone(s) : tell(s, &changes, with_uid, own);
    store_view_changes_done(&changes);
    return e;
}
