#include "import/mbox.h"

#include "store/store.h"

#include <string.h>

/* ---- "From SENDER DATE" ---- */

static bool digits(struct slice text, size_t at, size_t count, unsigned *out)
{
    unsigned n = 0;
    for (size_t i = at; i < at + count; i++) {
        if (i >= text.len || slice_at(text, i) < '0' || slice_at(text, i) > '9')
            return false;
        n = n * 10 + (slice_at(text, i) - '0');
    }
    *out = n;
    return true;
}

static int index_of(const char *names, struct slice text, size_t at)
{
    for (int i = 0; names[3 * i]; i++)
        if (at + 3 <= text.len && memcmp(text.ptr + at, names + 3 * i, 3) == 0)
            return i;
    return -1;
}

static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int64_t years = m > 2 ? y : y - 1; /* whose leap day has come */
    int64_t leaps = years / 4 - years / 100 + years / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (y - 1970) * 365 + leaps + before[m - 1] + (int64_t)d - 1;
}

static bool is_zone(struct slice word)
{
    size_t i = 0;
    bool number = word.len == 5 && (word.ptr[0] == '+' || word.ptr[0] == '-');
    for (i = number; i < word.len; i++)
        if (number ? slice_at(word, i) < '0' || slice_at(word, i) > '9'
                   : slice_at(word, i) < 'A' || slice_at(word, i) > 'Z')
            return false;
    return word.len >= 1 && word.len <= 5;
}

/* The year, with a zone before or behind it. */
static bool read_year(struct slice rest, unsigned *out_year)
{
    struct slice word;
    bool found = false;
    int zones = 0;
    while (slice_cut(&rest, ' ', &word)) {
        if (word.len == 0)
            continue;
        if (!found && word.len == 4 && digits(word, 0, 4, out_year))
            found = true;
        else if (!is_zone(word) || ++zones > 1)
            return false;
    }
    return found;
}

/* "Thu Nov 26 21:06:54 2026" at this place and up to the end; seconds may be missing. */
static bool read_date(struct slice text, size_t at, int64_t *out_s)
{
    unsigned day, hour, minute, second = 0, year = 0;
    int month = index_of("JanFebMarAprMayJunJulAugSepOctNovDec", text, at + 4);
    if (index_of("SunMonTueWedThuFriSat", text, at) < 0 || month < 0 || at + 16 > text.len ||
        text.ptr[at + 3] != ' ' || text.ptr[at + 7] != ' ' || text.ptr[at + 10] != ' ' ||
        text.ptr[at + 13] != ':')
        return false;
    size_t day_at = at + 8 + (text.ptr[at + 8] == ' ');
    if (!digits(text, day_at, at + 10 - day_at, &day) || !digits(text, at + 11, 2, &hour) ||
        !digits(text, at + 14, 2, &minute))
        return false;
    size_t next = at + 16;
    if (next < text.len && text.ptr[next] == ':') {
        if (!digits(text, next + 1, 2, &second))
            return false;
        next += 3;
    }
    if (!read_year(slice_from_index(text, next), &year) || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60 || year < 1970)
        return false;
    *out_s = days_from_civil(year, (unsigned)month + 1, day) * 86400 + hour * 3600 + minute * 60 +
             second;
    return true;
}

bool import_mbox_from(struct slice line, int64_t *out_s)
{
    if (!slice_starts(line, SLICE("From "))) /* nothing before it */
        return false;
    line = slice_trim(line);
    for (size_t at = line.len;
         at-- > 5;) /* a sender may look like a date; what counts stands last */
        if (line.ptr[at - 1] == ' ' && read_date(line, at, out_s))
            return true;
    return false;
}

/* ---- header fields that are the server's ---- */

enum field {
    FIELD_OTHER = -1,
    FIELD_STATUS,
    FIELD_X_STATUS,
    FIELD_KEYWORDS,
    FIELD_UIDL,
    FIELD_UID,
    FIELD_IMAPBASE,
    FIELD_IMAP,
    FIELD_LENGTH,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_STATUS] = "Status:",
    [FIELD_X_STATUS] = "X-Status:",
    [FIELD_KEYWORDS] = "X-Keywords:",
    [FIELD_UIDL] = "X-UIDL:",
    [FIELD_UID] = "X-UID:",
    [FIELD_IMAPBASE] = "X-IMAPbase:",
    [FIELD_IMAP] = "X-IMAP:",
    [FIELD_LENGTH] = "Content-Length:", /* of the text as it stands in the file */
};

static void read_flags(struct import_mbox *m, struct slice value)
{
    static const struct {
        char letter;
        unsigned flag;
    } flags[] = { { 'R', STORE_SEEN }, { 'A', STORE_ANSWERED }, { 'F', STORE_FLAGGED },
        { 'D', STORE_DELETED }, { 'T', STORE_DRAFT } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (slice_index(value, flags[i].letter) < value.len)
            m->system |= flags[i].flag;
}

static void read_number(struct slice text, uint32_t *out)
{
    uint64_t n;
    struct slice first;
    if (slice_cut(&text, ' ', &first) && slice_to_u64(first, UINT32_MAX, &n) == ERR_OK)
        *out = (uint32_t)n;
}

/* The field is whole. */
static void end_field(struct import_mbox *m)
{
    struct slice value = slice_trim(buf_slice(&m->value));
    switch ((enum field)m->field) {
    case FIELD_STATUS:
    case FIELD_X_STATUS:
        read_flags(m, value);
        break;
    case FIELD_KEYWORDS:
        buf_addc(&m->keywords, ' ');
        buf_add(&m->keywords, value);
        break;
    case FIELD_UIDL:
        buf_clear(&m->uidl);
        buf_add(&m->uidl, value);
        break;
    case FIELD_UID:
        read_number(value, &m->uid);
        break;
    case FIELD_IMAP:
        m->internal = true;
        read_number(value, &m->uidvalidity);
        break;
    case FIELD_IMAPBASE:
        read_number(value, &m->uidvalidity);
        break;
    default:
        break;
    }
    m->field = FIELD_OTHER;
    buf_clear(&m->value);
}

static void keep_value(struct import_mbox *m, struct slice piece)
{
    size_t room = IMPORT_FIELD_BYTES_MAX - buf_len(&m->value);
    for (size_t i = 0; i < piece.len && i < room; i++) {
        char c = piece.ptr[i];
        buf_addc(&m->value, c == '\r' || c == '\n' || c == '\t' ? ' ' : c);
    }
}

static bool is_blank(struct slice piece)
{
    return slice_eq(piece, SLICE("\n")) || slice_eq(piece, SLICE("\r\n"));
}

static void header_piece(struct import_mbox *m, struct slice piece, bool begins, struct buf *out)
{
    bool goes_on = !begins || piece.ptr[0] == ' ' || piece.ptr[0] == '\t';
    if (!goes_on) {
        end_field(m);
        m->in_header = !is_blank(piece);
        for (int i = 0; i < FIELD_COUNT; i++)
            if (slice_starts_nocase(piece, slice_of(field_names[i])))
                m->field = i;
        if (m->field != FIELD_OTHER)
            piece = slice_from_index(piece, strlen(field_names[m->field]));
    }
    if (m->field == FIELD_OTHER)
        buf_add(out, piece);
    else
        keep_value(m, piece);
}

/* ---- a message ---- */

void import_mbox_init(struct import_mbox *m, enum import_quoting quoting)
{
    *m = (struct import_mbox){ .quoting = quoting };
    buf_init(&m->keywords, IMPORT_FIELD_BYTES_MAX);
    buf_init(&m->uidl, 0);
    buf_init(&m->value, 0);
    import_mbox_begin(m);
}

void import_mbox_done(struct import_mbox *m)
{
    buf_done(&m->keywords);
    buf_done(&m->uidl);
    buf_done(&m->value);
}

void import_mbox_begin(struct import_mbox *m)
{
    m->system = 0;
    m->uid = m->uidvalidity = 0;
    m->internal = m->held_blank = m->held_cr = false;
    m->in_header = true;
    m->field = FIELD_OTHER;
    buf_clear(&m->keywords);
    buf_clear(&m->uidl);
    buf_clear(&m->value);
}

static struct slice unquoted(const struct import_mbox *m, struct slice line)
{
    size_t quotes = 0;
    while (quotes < line.len && line.ptr[quotes] == '>')
        quotes++;
    bool quoted = m->quoting == IMPORT_MBOXRD ? quotes > 0 : quotes == 1;
    if (quoted && slice_starts(slice_from_index(line, quotes), SLICE("From ")))
        return slice_from_index(line, 1);
    return line;
}

void import_mbox_piece(struct import_mbox *m, struct slice piece, bool begins, struct buf *out)
{
    if (m->held_blank)
        buf_adds(out, m->held_cr ? "\r\n" : "\n");
    m->held_blank = false;
    if (m->in_header) {
        header_piece(m, piece, begins, out);
    } else if (begins && is_blank(piece)) {
        m->held_blank = true;
        m->held_cr = piece.len == 2;
    } else {
        buf_add(out, begins ? unquoted(m, piece) : piece);
    }
}

void import_mbox_end(struct import_mbox *m)
{
    end_field(m);
    m->held_blank = false;
}
