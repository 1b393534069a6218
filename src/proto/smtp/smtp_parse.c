/* Command lines of SMTP. Strict: what is not in the grammar is refused, and nothing a peer writes reaches a header or a log with a control in it. */
#include "proto/smtp/smtp_parse.h"

#include "base/encode.h"
#include "base/utf8.h"

#include <string.h>

enum smtp_verb smtp_parse_verb(struct slice line, struct slice *out_rest)
{
    static const struct {
        struct slice name;
        enum smtp_verb verb;
    } verbs[] = {
        { SLICE_CONST("HELO"), SMTP_HELO },
        { SLICE_CONST("EHLO"), SMTP_EHLO },
        { SLICE_CONST("LHLO"), SMTP_LHLO },
        { SLICE_CONST("MAIL"), SMTP_MAIL },
        { SLICE_CONST("RCPT"), SMTP_RCPT },
        { SLICE_CONST("DATA"), SMTP_DATA },
        { SLICE_CONST("BDAT"), SMTP_BDAT },
        { SLICE_CONST("RSET"), SMTP_RSET },
        { SLICE_CONST("NOOP"), SMTP_NOOP },
        { SLICE_CONST("QUIT"), SMTP_QUIT },
        { SLICE_CONST("VRFY"), SMTP_VRFY },
        { SLICE_CONST("HELP"), SMTP_HELP },
        { SLICE_CONST("STARTTLS"), SMTP_STARTTLS },
        { SLICE_CONST("AUTH"), SMTP_AUTH },
        { SLICE_CONST("EXPN"), SMTP_NOT_DONE },
        { SLICE_CONST("ETRN"), SMTP_NOT_DONE },
        { SLICE_CONST("TURN"), SMTP_NOT_DONE },
        { SLICE_CONST("ATRN"), SMTP_NOT_DONE },
        { SLICE_CONST("SEND"), SMTP_NOT_DONE },
        { SLICE_CONST("SOML"), SMTP_NOT_DONE },
        { SLICE_CONST("SAML"), SMTP_NOT_DONE },
    };
    struct slice rest = line, name;
    *out_rest = SLICE_EMPTY;
    if (!slice_cut(&rest, ' ', &name))
        return SMTP_UNKNOWN;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (slice_eq_nocase(name, verbs[i].name)) {
            *out_rest = rest;
            return verbs[i].verb;
        }
    return SMTP_UNKNOWN;
}

/* ---- paths (RFC 5321 §4.1.2) ---- */

static bool is_atext(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Length of a Dot-string, or 0. */
static size_t dot_string(struct slice s)
{
    size_t i = 0;
    bool after_dot = true;
    for (; i < s.len; i++) {
        unsigned char c = slice_at(s, i);
        if (c == '.' && after_dot)
            return 0;
        if (c != '.' && !is_atext(c))
            break;
        after_dot = c == '.';
    }
    return after_dot ? 0 : i;
}

struct path_reader {
    struct slice in; /* what is left */
    struct smtp_path *path;
    size_t len;
};

static bool put(struct path_reader *r, struct slice s)
{
    if (s.len > USER_NAME_BYTES_MAX - r->len)
        return false;
    memcpy(r->path->address + r->len, s.ptr, s.len);
    r->len += s.len;
    return true;
}

/* Quoted-string: the content must be a Dot-string without its quotes; such addresses are all we have, and nothing else may look like one. */
static enum err quoted_local(struct path_reader *r)
{
    char room[USER_NAME_BYTES_MAX];
    size_t len = 0, i = 1;
    for (;; i++) {
        if (i >= r->in.len)
            return ERR_SYNTAX;
        unsigned char c = slice_at(r->in, i);
        if (c == '"')
            break;
        if (c == '\\' && ++i < r->in.len)
            c = slice_at(r->in, i);
        if (c < 0x20 || c == 0x7f || len == sizeof room)
            return ERR_SYNTAX;
        room[len++] = (char)c;
    }
    struct slice content = slice_from(room, len);
    if (len == 0 || dot_string(content) != len)
        return ERR_SYNTAX;
    r->in = slice_from_index(r->in, i + 1);
    return put(r, content) ? ERR_OK : ERR_LIMIT;
}

static enum err local_part(struct path_reader *r)
{
    if (r->in.len && r->in.ptr[0] == '"')
        return quoted_local(r);
    size_t len = dot_string(r->in);
    if (len == 0)
        return ERR_SYNTAX;
    struct slice part = slice_sub(r->in, 0, len);
    r->in = slice_from_index(r->in, len);
    return put(r, part) ? ERR_OK : ERR_LIMIT;
}

/* Length of a domain or address literal at the start of s, or 0. */
static size_t domain(struct slice s)
{
    if (s.len && s.ptr[0] == '[') {
        size_t end = slice_index(s, ']');
        if (end == s.len || end < 2)
            return 0;
        for (size_t i = 1; i < end; i++) {
            unsigned char c = slice_at(s, i);
            if (hex_digit((char)c) < 0 && c != ':' && c != '.' && !(c && strchr("IPv", c)))
                return 0;
        }
        return end + 1;
    }
    size_t i = 0;
    bool after_dot = true;
    for (; i < s.len; i++) {
        unsigned char c = slice_at(s, i);
        bool letter =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
        if (after_dot ? !letter : !(letter || c == '-' || c == '.' || c == '_'))
            break;
        after_dot = c == '.';
    }
    return after_dot ? 0 : i;
}

/* "<" address ">"; source routes are refused (RFC 5321 appendix C lets a server). */
static enum err path(struct slice *in, bool postmaster, struct smtp_path *out)
{
    struct path_reader r = { .in = *in, .path = out };
    *out = (struct smtp_path){ .address = "" };
    if (!slice_starts(r.in, SLICE("<")))
        return ERR_SYNTAX;
    r.in = slice_from_index(r.in, 1);
    if (slice_starts(r.in, SLICE(">"))) {
        *in = slice_from_index(r.in, 1);
        return ERR_OK;
    }
    TRY(local_part(&r));
    if (postmaster && slice_starts(r.in, SLICE(">")) &&
        slice_eq_nocase(slice_from(out->address, r.len), SLICE("postmaster"))) {
        *in = slice_from_index(r.in, 1);
        return ERR_OK;
    }
    if (!slice_starts(r.in, SLICE("@")) || !put(&r, SLICE("@")))
        return ERR_SYNTAX;
    r.in = slice_from_index(r.in, 1);
    size_t len = domain(r.in);
    if (len == 0)
        return ERR_SYNTAX;
    if (!put(&r, slice_sub(r.in, 0, len)))
        return ERR_LIMIT;
    r.in = slice_from_index(r.in, len);
    if (!slice_starts(r.in, SLICE(">")))
        return ERR_SYNTAX;
    struct slice address = slice_from(out->address, r.len);
    out->utf8 = !slice_is_ascii(address);
    if (out->utf8 && !utf8_valid(address))
        return ERR_SYNTAX;
    *in = slice_from_index(r.in, 1);
    return ERR_OK;
}

/* ---- parameters ---- */

/* xtext (RFC 3461 §4) without controls behind its escapes: a queue file never gets a line end from one. */
static bool xtext_ok(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = slice_at(s, i);
        if (c < 33 || c > 126 || c == '=')
            return false;
        if (c != '+')
            continue;
        if (i + 2 >= s.len || hex_digit(s.ptr[i + 1]) < 0 || hex_digit(s.ptr[i + 2]) < 0)
            return false;
        int value = hex_digit(s.ptr[i + 1]) * 16 + hex_digit(s.ptr[i + 2]);
        if (value < 32 || value == 127)
            return false;
        i += 2;
    }
    return s.len > 0;
}

static enum err mail_parameter(struct slice name, struct slice value, struct smtp_mail *mail)
{
    if (slice_eq_nocase(name, SLICE("SIZE"))) {
        enum err e = slice_to_u64(value, INT64_MAX, &mail->size);
        return e == ERR_LIMIT && value.len <= 20 ? ERR_LIMIT : e;
    }
    if (slice_eq_nocase(name, SLICE("BODY"))) {
        mail->body_8bit = slice_eq_nocase(value, SLICE("8BITMIME"));
        return mail->body_8bit || slice_eq_nocase(value, SLICE("7BIT")) ? ERR_OK : ERR_SYNTAX;
    }
    if (slice_eq_nocase(name, SLICE("SMTPUTF8"))) {
        mail->smtputf8 = true;
        return value.len == 0 ? ERR_OK : ERR_SYNTAX;
    }
    if (slice_eq_nocase(name, SLICE("AUTH"))) /* RFC 4954 §5: taken and not used */
        return xtext_ok(value) || slice_eq(value, SLICE("<>")) ? ERR_OK : ERR_SYNTAX;
    return ERR_NOT_FOUND;
}

static enum err keyword(struct slice *in, struct slice word)
{
    if (!slice_starts_nocase(*in, word))
        return ERR_SYNTAX;
    *in = slice_from_index(*in, word.len);
    if (slice_starts(*in, SLICE(" "))) /* seen from real programs, harmless */
        *in = slice_from_index(*in, 1);
    return ERR_OK;
}

enum err smtp_parse_mail(struct slice rest, struct smtp_mail *out_mail)
{
    struct smtp_mail mail = { .path = { .address = "" } };
    TRY(keyword(&rest, SLICE("FROM:")));
    TRY(path(&rest, false, &mail.path));
    if (rest.len && rest.ptr[0] != ' ')
        return ERR_SYNTAX;
    struct slice word;
    while (slice_cut(&rest, ' ', &word)) {
        if (word.len == 0)
            continue;
        struct slice value = word, name;
        (void)slice_cut(&value, '=', &name);
        if (name.len == word.len)
            value = SLICE_EMPTY;
        TRY(mail_parameter(name, value, &mail));
    }
    if (mail.path.utf8 && !mail.smtputf8)
        return ERR_SYNTAX;
    *out_mail = mail;
    return ERR_OK;
}

enum err smtp_parse_rcpt(struct slice rest, struct smtp_path *out_path)
{
    struct smtp_path got;
    TRY(keyword(&rest, SLICE("TO:")));
    TRY(path(&rest, true, &got));
    if (!got.address[0])
        return ERR_SYNTAX;
    if (slice_trim(rest).len)
        return rest.ptr[0] == ' ' ? ERR_NOT_FOUND : ERR_SYNTAX;
    *out_path = got;
    return ERR_OK;
}

enum err smtp_parse_bdat(struct slice rest, uint64_t *out_bytes, bool *out_last)
{
    struct slice number, last = rest;
    if (!slice_cut(&last, ' ', &number))
        return ERR_SYNTAX;
    bool is_last = slice_eq_nocase(last, SLICE("LAST"));
    if (last.len && !is_last)
        return ERR_SYNTAX;
    TRY(slice_to_u64(number, INT64_MAX, out_bytes));
    *out_last = is_last;
    return ERR_OK;
}

bool smtp_name_ok(struct slice name)
{
    if (name.len == 0 || name.len > 255 || !utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = slice_at(name, i);
        if (c <= 32 || c == 127 || strchr("()<>\"\\,;@", c))
            return false;
    }
    return name.ptr[0] != '[' || domain(name) == name.len;
}

void smtp_write_mail(const struct smtp_mail *mail, struct buf *out)
{
    buf_addf(out, "FROM:<%s>", mail->path.address);
    if (mail->size)
        buf_addf(out, " SIZE=%llu", (unsigned long long)mail->size);
    if (mail->body_8bit)
        buf_adds(out, " BODY=8BITMIME");
    if (mail->smtputf8)
        buf_adds(out, " SMTPUTF8");
}
