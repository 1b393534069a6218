/* What to type into mail programs to reach a mailbox. */
#include "bin/explain_int.h"

#include <stdio.h>
#include <string.h>

const char *const explain_programs[] = { "outlook", "thunderbird", "apple-mail", "gmail",
    "fairemail", "mutt", NULL };

static bool is_local(const struct listener *listener)
{
    return listener->address[0] == '/' || strcmp(listener->address, "::1") == 0 ||
           strncmp(listener->address, "127.", 4) == 0;
}

struct explain_reach explain_reach(const struct config *config, enum protocol protocol)
{
    struct explain_reach best = { 0 };
    int best_rank = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener *listener = &config->listeners[i];
        if (listener->protocol != protocol || listener->port == 0)
            continue;
        int rank = 1 + 2 * !is_local(listener) + listener->implicit_tls;
        if (rank > best_rank)
            best = (struct explain_reach){ .port = listener->port,
                .implicit_tls = listener->implicit_tls,
                .local_only = is_local(listener) };
        best_rank = rank > best_rank ? rank : best_rank;
    }
    return best;
}

struct service {
    enum protocol protocol;
    enum user_service service;
    const char *name, *end; /* sections */
    const char *padded;     /* in a table */
    const char *scheme;
    enum value_index port, security, scheme_value;
};
static const struct service services[] = {
    { PROTOCOL_IMAP, USER_IMAP, "protocol.imap", "imap", "IMAP", "imap", VALUE_imap_port,
        VALUE_imap_security, VALUE_imap_scheme },
    { PROTOCOL_POP3, USER_POP3, "protocol.pop3", "pop", "POP3", "pop", VALUE_pop_port,
        VALUE_pop_security, VALUE_pop_scheme },
    { PROTOCOL_SUBMISSION, USER_SUBMISSION, "protocol.smtp", "send", "SMTP", "smtp",
        VALUE_send_port, VALUE_send_security, VALUE_send_scheme },
};
#define SERVICES (sizeof services / sizeof *services)

static const char *security_of(struct explain_reach reach)
{
    return reach.implicit_tls ? "SSL/TLS" : "STARTTLS";
}

static void set_reach(struct explaining *x, const struct service *s, struct explain_reach reach)
{
    explain_number(x, s->port, (uint64_t)reach.port);
    explain_text(x, s->security, security_of(reach));
    /* "imaps" and so on where TLS begins at once */
    x->values[s->scheme_value].text = slice_of(s->scheme);
    if (reach.implicit_tls)
        x->values[s->scheme_value].text = s->protocol == PROTOCOL_IMAP   ? SLICE("imaps")
                                          : s->protocol == PROTOCOL_POP3 ? SLICE("pops")
                                                                         : SLICE("smtps");
}

static void say_row(struct explaining *x, const struct service *s, struct explain_reach reach)
{
    char port[16];
    snprintf(port, sizeof port, "%-5d", reach.port);
    x->values[VALUE_protocol].text = slice_of(s->padded);
    explain_text(x, VALUE_port, port);
    explain_text(x, VALUE_security, security_of(reach));
    explain_say(x, "settings.row");
}

static void say_service(struct explaining *x, const struct service *s)
{
    char name[64];
    struct explain_reach reach = explain_reach(x->in->config, s->protocol);
    if (reach.port && x->in->program) {
        snprintf(name, sizeof name, "program.%s.%s", x->in->program, s->end);
        explain_say(x, name);
    } else if (reach.port) {
        say_row(x, s, reach);
    }
}

static void say_limits(struct explaining *x, const struct service *s)
{
    struct explain_reach reach = explain_reach(x->in->config, s->protocol);
    x->values[VALUE_protocol].text = explain_section(x, s->name);
    if (reach.port == 0)
        explain_say(x, "settings.nowhere");
    else if (reach.local_only)
        explain_say(x, "settings.local");
    if (!(x->in->user->services & s->service))
        explain_say(x, "settings.off");
}

/* RFC 3986 §2.1 */
static void percent_encode(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        char lower = ascii_lower((char)c);
        bool plain =
            (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        if (plain)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void say_program(struct explaining *x)
{
    char name[64];
    snprintf(name, sizeof name, "program.%s", x->in->program);
    explain_say(x, name);
    for (size_t i = 0; i < SERVICES; i++) /* what is off is of no use to a program */
        if (x->in->user->services & services[i].service)
            say_service(x, &services[i]);
}

static void say_table(struct explaining *x)
{
    explain_say(x, "settings.head");
    for (size_t i = 0; i < SERVICES; i++)
        say_service(x, &services[i]);
}

void explain_settings(struct explaining *x)
{
    struct buf url, programs;
    buf_init(&url, 0);
    buf_init(&programs, 0);
    percent_encode(slice_of(x->in->user->address), &url);
    for (size_t i = 0; explain_programs[i]; i++)
        buf_addf(&programs, "%s%s", i ? ", " : "", explain_programs[i]);
    x->values[VALUE_user_url].text = buf_slice(&url);
    x->values[VALUE_programs].text = buf_slice(&programs);
    for (size_t i = 0; i < SERVICES; i++)
        set_reach(x, &services[i], explain_reach(x->in->config, services[i].protocol));
    explain_title(x, "settings.title");
    if (x->in->program)
        say_program(x);
    else
        say_table(x);
    for (size_t i = 0; i < SERVICES; i++)
        say_limits(x, &services[i]);
    explain_say(x, "settings.user");
    explain_say(x, "settings.password");
    if (x->in->config->cert_file[0] == '\0')
        explain_say(x, "settings.self-signed");
    if (!x->in->program)
        explain_say(x, "settings.programs");
    buf_done(&url);
    buf_done(&programs);
}
