/* Messages that are made here. */
#include "client/smtp/smtpc_compose.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "client/core/address.h"
#include "client/smtp/smtpc_record.h"
#include "message/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORD_BYTES     42u  /* base64 of it and the rest stay under 75 characters (RFC 2047 §2) */
#define LINE_CHARS     76u  /* RFC 2045 §6.7, §6.8 */
#define PLAIN_CHARS    200u /* an ASCII subject up to this stays one line */
#define ENCODE_BYTES   (57u * 512u) /* whole lines of base64 */
#define BOUNDARY_BYTES 16u

/* ---- header values ---- */

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (slice_at(text, i) < ' ' || slice_at(text, i) > '~')
            return false;
    return slice_find(text, SLICE("=?")) == SIZE_MAX;
}

/* As many bytes as end with a whole character. */
static size_t whole_chars(struct slice utf8, size_t len)
{
    if (len >= utf8.len)
        return utf8.len;
    while (len > 1 && (slice_at(utf8, len) & 0xc0) == 0x80)
        len--;
    return len;
}

void smtpc_write_words(struct slice utf8, struct buf *out)
{
    if (is_plain(utf8) && utf8.len <= PLAIN_CHARS) {
        buf_add(out, utf8);
        return;
    }
    for (bool first = true; utf8.len > 0; first = false) {
        size_t len = whole_chars(utf8, WORD_BYTES);
        buf_adds(out, first ? "=?UTF-8?B?" : "\n =?UTF-8?B?");
        base64_encode(out, slice_sub(utf8, 0, len));
        buf_adds(out, "?=");
        utf8 = slice_from_index(utf8, len);
    }
}

static bool is_phrase(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            !strchr("!#$%&'*+-/=?^_`{|}~ ", c))
            return false;
    }
    return true;
}

void smtpc_write_address(struct slice name, struct slice address, struct buf *out)
{
    if (name.len == 0) {
        buf_add(out, address);
        return;
    }
    if (!is_plain(name) || name.len > PLAIN_CHARS)
        smtpc_write_words(name, out);
    else if (is_phrase(name))
        buf_add(out, name);
    else
        buf_add_quoted(out, name);
    buf_addf(out, " <%.*s>", SLICE_FMT(address));
}

/* ---- parameters (RFC 2231) ---- */

void smtpc_write_parameter(const char *name, struct slice utf8, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_plain(utf8) && utf8.len <= 60) {
        buf_addf(out, ";\n %s=", name);
        buf_add_quoted(out, utf8);
        return;
    }
    size_t part = 0, column = SIZE_MAX;
    for (size_t i = 0; i < utf8.len; i++) {
        unsigned char c = slice_at(utf8, i);
        bool plain = (ascii_lower((char)c) >= 'a' && ascii_lower((char)c) <= 'z') ||
                     (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        if (column > 50) {
            buf_addf(out, ";\n %s*%zu*=%s", name, part, part ? "" : "UTF-8''");
            part++;
            column = 0;
        }
        if (plain) {
            buf_addc(out, (char)c);
        } else {
            buf_addc(out, '%');
            buf_addc(out, digits[c >> 4]);
            buf_addc(out, digits[c & 15]);
        }
        column += plain ? 1 : 3;
    }
}

/* ---- text ---- */

static bool is_soft_blank(struct slice line, size_t i)
{
    return (line.ptr[i] == ' ' || line.ptr[i] == '\t') && i + 1 == line.len;
}

static void quote_line(struct slice line, struct buf *out)
{
    size_t column = 0;
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = slice_at(line, i);
        bool plain = ((c >= ' ' && c <= '~' && c != '=') || c == '\t') && !is_soft_blank(line, i);
        /* programs that keep mail in one file take a line with "From " at its start apart */
        if (i == 0 && slice_starts(line, SLICE("From ")))
            plain = false;
        size_t width = plain ? 1 : 3;
        if (column + width > LINE_CHARS - 1) {
            buf_adds(out, "=\n");
            column = 0;
        }
        if (plain)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "=%02X", c);
        column += width;
    }
}

void smtpc_write_quoted(struct slice text, struct buf *out)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        quote_line(line, out);
        buf_addc(out, '\n');
    }
}

/* Short lines of ASCII, and none that a mailbox file would take apart. */
static bool is_7bit(struct slice text)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        if (line.len > LINE_CHARS || slice_starts(line, SLICE("From ")))
            return false;
        for (size_t i = 0; i < line.len; i++)
            if ((slice_at(line, i) < ' ' && line.ptr[i] != '\t') || slice_at(line, i) > '~')
                return false;
    }
    return true;
}

/* CRLF and CR become LF. */
static void local_ends(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        bool cr = text.ptr[i] == '\r';
        if (cr && i + 1 < text.len && text.ptr[i + 1] == '\n')
            continue;
        buf_addc(out, cr ? '\n' : text.ptr[i]);
    }
}

static enum err read_text(int fd, struct buf *out, struct err_note *note)
{
    struct buf raw;
    enum err e = ERR_OK;
    buf_init(&raw, SMTPC_TEXT_FILE_BYTES_MAX);
    for (ssize_t got = 1; !e && got > 0;) {
        char *to = buf_room(&raw, 65536);
        got = to ? read(fd, to, 65536) : -1;
        if (!to)
            e = err_noted(
                note, ERR_LIMIT, "the text is over %u bytes; attach it", SMTPC_TEXT_FILE_BYTES_MAX);
        else if (got < 0)
            e = err_noted(note, ERR_IO, "the text cannot be read: %s", strerror(errno));
        else
            buf_wrote(&raw, (size_t)got);
    }
    if (!e && (!utf8_valid(buf_slice(&raw)) || slice_index(buf_slice(&raw), '\0') < buf_len(&raw)))
        e = err_noted(note, ERR_SYNTAX, "the text is no UTF-8; convert it, or attach it");
    if (!e)
        local_ends(buf_slice(&raw), out);
    buf_done(&raw);
    return e;
}

static void write_text_part(struct slice text, struct buf *out)
{
    bool plain = is_7bit(text);
    buf_addf(out, "Content-Type: text/plain; charset=%s\nContent-Transfer-Encoding: %s\n\n",
        slice_is_ascii(text) ? "us-ascii" : "utf-8", plain ? "7bit" : "quoted-printable");
    if (plain)
        buf_add(out, text);
    else
        smtpc_write_quoted(text, out);
    if (text.len > 0 && text.ptr[text.len - 1] != '\n' && plain)
        buf_addc(out, '\n');
}

/* ---- fields ---- */

static enum err write_list(
    const char *name, const char *const *lists, struct buf *out, struct err_note *note)
{
    struct arena arena;
    size_t written = 0;
    enum err e = ERR_OK;
    arena_init(&arena, 16u << 20);
    for (size_t i = 0; !e && lists && lists[i]; i++) {
        struct msg_address *all;
        size_t count = 0;
        e = msg_addresses(&arena, slice_of(lists[i]), SMTPC_ADDRESSES_MAX, &all, &count);
        if (!e && count == SMTPC_ADDRESSES_MAX)
            e = ERR_LIMIT;
        if (!e && count == 0)
            e = ERR_SYNTAX;
        for (size_t k = 0; !e && k < count; k++) {
            struct buf address;
            if (!all[k].host.ptr) { /* a group: its members are what counts */
                continue;
            }
            buf_init(&address, 0);
            e = client_address_write(all[k].mailbox, all[k].host, &address);
            buf_adds(out, written++ ? ",\n " : name);
            if (!e)
                smtpc_write_address(
                    all[k].name.ptr ? all[k].name : SLICE_EMPTY, buf_slice(&address), out);
            buf_done(&address);
        }
        if (e == ERR_LIMIT)
            e = err_noted(note, e, "more than %u addresses", SMTPC_ADDRESSES_MAX - 1);
        else if (e)
            e = err_noted(note, ERR_NOT_FOUND, "%.100s", lists[i]);
    }
    if (written)
        buf_addc(out, '\n');
    arena_done(&arena);
    return e;
}

static enum err check_line(const char *text, struct err_note *note)
{
    if (!utf8_valid(slice_of(text)) || strpbrk(text, "\r\n"))
        return err_noted(note, ERR_SYNTAX, "the subject has to be one line of UTF-8");
    return ERR_OK;
}

static enum err write_fields(const struct smtpc_compose *c, struct buf *out, struct err_note *note)
{
    buf_adds(out, "From: ");
    smtpc_write_address(slice_of(c->real_name), slice_of(c->from), out);
    buf_addc(out, '\n');
    TRY(write_list("To: ", c->to, out, note));
    TRY(write_list("Cc: ", c->cc, out, note));
    TRY(write_list("Bcc: ", c->bcc, out, note));
    if (c->subject) {
        TRY(check_line(c->subject, note));
        buf_adds(out, "Subject: ");
        smtpc_write_words(slice_of(c->subject), out);
        buf_addc(out, '\n');
    }
    buf_adds(out, "MIME-Version: 1.0\n");
    return ERR_OK;
}

/* ---- attachments ---- */

static const char *type_of(struct slice name)
{
    static const struct {
        struct slice end;
        const char *type;
    } types[] = {
        { SLICE_CONST(".txt"), "text/plain" },
        { SLICE_CONST(".csv"), "text/csv" },
        { SLICE_CONST(".html"), "text/html" },
        { SLICE_CONST(".pdf"), "application/pdf" },
        { SLICE_CONST(".zip"), "application/zip" },
        { SLICE_CONST(".json"), "application/json" },
        { SLICE_CONST(".xml"), "application/xml" },
        { SLICE_CONST(".png"), "image/png" },
        { SLICE_CONST(".jpg"), "image/jpeg" },
        { SLICE_CONST(".jpeg"), "image/jpeg" },
        { SLICE_CONST(".gif"), "image/gif" },
        { SLICE_CONST(".webp"), "image/webp" },
        { SLICE_CONST(".mp3"), "audio/mpeg" },
        { SLICE_CONST(".mp4"), "video/mp4" },
        { SLICE_CONST(".ics"), "text/calendar" },
        { SLICE_CONST(".vcf"), "text/vcard" },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_ends_nocase(name, types[i].end))
            return types[i].type;
    return "application/octet-stream";
}

static enum err write_out(int fd, struct buf *out, struct err_note *note)
{
    while (buf_len(out)) {
        struct slice bytes = buf_slice(out);
        ssize_t wrote = write(fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno != EINTR)
            return err_noted(
                note, err_from_errno(errno), "the message cannot be kept: %s", strerror(errno));
        if (wrote > 0)
            buf_consume(out, (size_t)wrote);
    }
    buf_clear(out);
    return ERR_OK;
}

static void write_base64_lines(struct slice bytes, struct buf *out)
{
    while (bytes.len > 0) {
        base64_encode(out, slice_sub(bytes, 0, 57));
        buf_addc(out, '\n');
        bytes = slice_from_index(bytes, 57);
    }
}

/* Fills the block as far as the file goes: a short read in the middle would end a line of base64 with padding. */
static ssize_t read_block(int fd, char *block, size_t len)
{
    size_t have = 0;
    while (have < len) {
        ssize_t got = read(fd, block + have, len - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* Bytes at the end that may begin a character whose rest comes with the next block. */
static size_t open_end(struct slice bytes)
{
    for (size_t n = 1; n <= 3 && n <= bytes.len; n++) {
        unsigned char c = slice_at(bytes, bytes.len - n);
        if (c < 0x80)
            return 0;
        if (c >= 0xc0)
            return n < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) ? n : 0;
    }
    return 0;
}

/* Of a file, read from where it stands. NULL: none that we know, or it cannot be read, which shows when it is attached. */
static const char *charset_of(int fd)
{
    char block[ENCODE_BYTES + 4];
    size_t kept = 0;
    bool ascii = true, valid = true;
    for (ssize_t got = 1; valid && got > 0;) {
        got = read_block(fd, block + kept, ENCODE_BYTES);
        if (got < 0)
            return NULL;
        struct slice bytes = slice_from(block, kept + (size_t)got);
        kept = got > 0 ? open_end(bytes) : 0;
        bytes.len -= kept;
        ascii = ascii && kept == 0 && slice_is_ascii(bytes);
        valid = utf8_valid(bytes);
        memmove(block, block + bytes.len, kept);
    }
    return !valid ? NULL : ascii ? "us-ascii" : "utf-8";
}

/* Content-Type without its name. Text of an unknown charset would be shown as ASCII (RFC 2046 §4.1.2): it is no text then. */
static void write_type(int fd, struct slice name, struct buf *out)
{
    const char *type = type_of(name);
    const char *charset = NULL;
    if (slice_starts(slice_of(type), SLICE("text/"))) {
        charset = charset_of(fd);
        type = charset ? type : "application/octet-stream";
    }
    buf_addf(out, "Content-Type: %s", type);
    if (charset)
        buf_addf(out, "; charset=%s", charset);
}

static enum err attach(
    const char *path, const char *boundary, int out_fd, struct buf *out, struct err_note *note)
{
    const char *slash = strrchr(path, '/');
    struct slice name = slice_of(slash ? slash + 1 : path);
    char block[ENCODE_BYTES];
    struct stat st;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_noted(note, ERR_DENIED, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_noted(note, ERR_DENIED, "%s is no file", path);
    if (!utf8_valid(name))
        name = SLICE("attachment");
    buf_addf(out, "\n--%s\n", boundary);
    write_type(fd, name, out);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_noted(note, ERR_DENIED, "%s: %s", path, strerror(errno));
    smtpc_write_parameter("name", name, out);
    buf_adds(out, "\nContent-Disposition: attachment");
    smtpc_write_parameter("filename", name, out);
    buf_adds(out, "\nContent-Transfer-Encoding: base64\n\n");
    for (;;) {
        ssize_t got = read_block(fd, block, sizeof block);
        if (got < 0)
            return err_noted(note, ERR_DENIED, "%s: %s", path, strerror(errno));
        if (got == 0)
            return ERR_OK;
        write_base64_lines(slice_from(block, (size_t)got), out);
        TRY(write_out(out_fd, out, note));
    }
}

static enum err write_parts(const struct smtpc_compose *c, struct slice text, int out_fd,
    struct buf *out, struct err_note *note)
{
    unsigned char random[BOUNDARY_BYTES];
    char boundary[2 * BOUNDARY_BYTES + 8];
    struct buf hex;
    rand_bytes(random, sizeof random);
    buf_init(&hex, 0);
    hex_encode(&hex, slice_from(random, sizeof random));
    /* "=_" stands in no line of base64 or quoted-printable (RFC 2045 §6.7) */
    (void)snprintf(boundary, sizeof boundary, "=_%.*s", SLICE_FMT(buf_slice(&hex)));
    buf_done(&hex);
    buf_addf(out, "Content-Type: multipart/mixed; boundary=\"%s\"\n\n", boundary);
    if (c->text_fd >= 0) {
        buf_addf(out, "--%s\n", boundary);
        write_text_part(text, out);
    }
    for (size_t i = 0; c->attach[i]; i++)
        TRY(attach(c->attach[i], boundary, out_fd, out, note));
    buf_addf(out, "\n--%s--\n", boundary);
    return ERR_OK;
}

enum err smtpc_compose(const struct smtpc_compose *compose, int out_fd, struct err_note *note)
{
    struct buf out, text;
    enum err e = ERR_OK;
    buf_init(&out, 0), buf_init(&text, 0);
    if (compose->text_fd >= 0)
        e = read_text(compose->text_fd, &text, note);
    if (!e)
        e = write_fields(compose, &out, note);
    if (!e && compose->attach && compose->attach[0])
        e = write_parts(compose, buf_slice(&text), out_fd, &out, note);
    else if (!e)
        write_text_part(buf_slice(&text), &out);
    if (!e)
        e = write_out(out_fd, &out, note);
    buf_done(&out), buf_done(&text);
    return e;
}
