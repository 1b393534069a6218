/* A message on its way into an mbox: line ends first, then lines. */
#include "export/mboxrd.h"

#include <string.h>
#include <time.h>

static const char from_word[] = "From ";
#define FROM_CHARS (sizeof from_word - 1)

/* Whatever somebody wrote there, it is not what the server knows. */
static const struct slice left_out[] = {
    SLICE_CONST("Status:"),
    SLICE_CONST("X-Status:"),
    SLICE_CONST("X-Keywords:"),
    SLICE_CONST("X-UID:"),
    SLICE_CONST("X-UIDL:"),
    SLICE_CONST("X-IMAP:"),
    SLICE_CONST("X-IMAPbase:"),
    SLICE_CONST("Content-Length:"),
};

void export_mboxrd_from(int64_t received_s, struct buf *out)
{
    /* not strftime: the words are English in every locale */
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t last_s = INT64_C(253402300799); /* of the year 9999 */
    time_t at = (time_t)(received_s < 0 ? 0 : received_s > last_s ? last_s : received_s);
    struct tm tm;
    (void)gmtime_r(&at, &tm);
    buf_addf(out, "From MAILER-DAEMON %.3s %.3s %2d %02d:%02d:%02d %d\n", days + 3 * tm.tm_wday,
        months + 3 * tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

void export_mboxrd_begin(struct export_mboxrd *m, struct slice status)
{
    *m = (struct export_mboxrd){
        .status = status, .in_header = true, .deciding = true, .ended = true
    };
    buf_init(&m->held, 0);
}

void export_mboxrd_done(struct export_mboxrd *m)
{
    buf_done(&m->held);
}

static void put(struct export_mboxrd *m, struct slice text, struct buf *out)
{
    if (text.len == 0)
        return;
    buf_add(out, text);
    m->ended = text.ptr[text.len - 1] == '\n';
}

/* ---- header ---- */

static void end_header(struct export_mboxrd *m, struct buf *out)
{
    if (!m->ended)
        put(m, SLICE("\n"), out);
    put(m, m->status, out);
    m->in_header = false;
    m->at_start = true;
}

/* What is held is as much of a line as says what it is. */
static void decide(struct export_mboxrd *m, struct buf *out)
{
    struct slice line = buf_slice(&m->held);
    if (slice_eq(line, SLICE("\n"))) {
        end_header(m, out);
        put(m, line, out);
    } else {
        bool goes_on = line.ptr[0] == ' ' || line.ptr[0] == '\t';
        if (!goes_on)
            m->in_field_left_out = false;
        for (size_t i = 0; !goes_on && i < sizeof left_out / sizeof left_out[0]; i++)
            m->in_field_left_out |= slice_eq_nocase(line, left_out[i]);
        if (slice_starts(line, slice_from(from_word, FROM_CHARS)))
            put(m, SLICE(">"), out);
        if (!m->in_field_left_out)
            put(m, line, out);
    }
    m->deciding = line.ptr[line.len - 1] == '\n';
    buf_clear(&m->held);
}

static bool is_decided(const struct export_mboxrd *m)
{
    struct slice line = buf_slice(&m->held);
    char first = line.ptr[0], last = line.ptr[line.len - 1];
    return last == ':' || last == '\n' || first == ' ' || first == '\t' ||
           line.len == EXPORT_FIELD_NAME_MAX;
}

/* Returns how much of the text was the header's. */
static size_t header_text(struct export_mboxrd *m, struct slice text, struct buf *out)
{
    size_t at = 0;
    while (at < text.len && m->in_header) {
        if (m->deciding) {
            buf_addc(&m->held, text.ptr[at++]);
            if (is_decided(m))
                decide(m, out);
            continue;
        }
        struct slice rest = slice_from_index(text, at);
        size_t end = slice_index(rest, '\n');
        bool whole = end < rest.len;
        if (!m->in_field_left_out)
            put(m, slice_sub(rest, 0, end + whole), out);
        at += end + whole;
        m->deciding = whole;
    }
    return at;
}

/* ---- text ---- */

/* Quotes at the start of a line go out as they come; letters that may be "From " wait until they are. */
static void body_text(struct export_mboxrd *m, struct slice text, struct buf *out)
{
    size_t at = 0;
    while (at < text.len) {
        if (!m->at_start) {
            struct slice rest = slice_from_index(text, at);
            size_t end = slice_index(rest, '\n');
            m->at_start = end < rest.len;
            put(m, slice_sub(rest, 0, end + m->at_start), out);
            at += end + m->at_start;
        } else if (text.ptr[at] == from_word[m->from]) {
            at++;
            if (++m->from == FROM_CHARS) {
                put(m, SLICE(">From "), out);
                m->from = 0;
                m->at_start = false;
            }
        } else {
            bool quote = m->from == 0 && text.ptr[at] == '>';
            put(m, slice_from(from_word, m->from), out);
            m->from = 0;
            if (quote)
                put(m, slice_sub(text, at++, 1), out);
            m->at_start = quote;
        }
    }
}

static void take(struct export_mboxrd *m, struct slice text, struct buf *out)
{
    size_t at = m->in_header ? header_text(m, text, out) : 0;
    body_text(m, slice_from_index(text, at), out);
}

/* ---- line ends ---- */

void export_mboxrd_piece(struct export_mboxrd *m, struct slice piece, struct buf *out)
{
    while (piece.len) {
        if (m->held_cr) {
            bool ends = piece.ptr[0] == '\n';
            if (!ends || m->took_cr)
                take(m, SLICE("\r"), out);
            m->took_cr = !ends;
            m->held_cr = false;
        }
        size_t at = slice_index(piece, '\r');
        take(m, slice_sub(piece, 0, at), out);
        if (at > 0)
            m->took_cr = false;
        m->held_cr = at < piece.len;
        piece = slice_from_index(piece, at + 1);
    }
}

void export_mboxrd_end(struct export_mboxrd *m, struct buf *out)
{
    if (m->held_cr)
        take(m, SLICE("\r"), out);
    m->held_cr = false;
    if (m->in_header && buf_len(&m->held))
        decide(m, out);
    if (m->in_header)
        end_header(m, out);
    put(m, slice_from(from_word, m->from), out);
    m->from = 0;
    if (!m->ended)
        put(m, SLICE("\n"), out);
    put(m, SLICE("\n"), out);
}
