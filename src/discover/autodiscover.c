/* Autodiscover / Response / Account / Protocol: what hosters with cPanel, Plesk and the like answer without a password, and Exchange mostly does not. */
#include "discover/settings.h"
#include "discover/xml.h"

static bool is_on(struct slice word, bool otherwise)
{
    return word.len ? slice_eq_nocase(word, SLICE("on")) : otherwise;
}

/* SSL says whether there is TLS at all (it is on when nothing is said), Encryption which kind; the ports tell what is left. */
static bool security_of(
    const struct xml_node *protocol, struct slice port, enum discover_security *out_security)
{
    static const struct slice starttls_ports[] = { SLICE_CONST("143"), SLICE_CONST("110"),
        SLICE_CONST("587"), SLICE_CONST("25") };
    struct slice encryption = xml_text(protocol, "Encryption");
    if (slice_eq_nocase(encryption, SLICE("None")))
        return false;
    if (!encryption.len && !is_on(xml_text(protocol, "SSL"), true))
        return false;
    *out_security = slice_eq_nocase(encryption, SLICE("TLS")) ? DISCOVER_STARTTLS : DISCOVER_TLS;
    for (size_t i = 0; i < 4; i++)
        if (slice_eq(port, starttls_ports[i]) && !slice_eq_nocase(encryption, SLICE("SSL")))
            *out_security = DISCOVER_STARTTLS;
    if (slice_eq(port, SLICE("993")) || slice_eq(port, SLICE("995")) ||
        slice_eq(port, SLICE("465")))
        *out_security = DISCOVER_TLS;
    return true;
}

static void read_protocol(const struct xml_node *node, const struct name *name, struct arena *arena,
    struct settings *settings)
{
    struct slice type = xml_text(node, "Type"), port = xml_text(node, "Port");
    struct settings_server server = { .host = xml_text(node, "Server"),
        .user = xml_text(node, "LoginName") };
    if (slice_eq_nocase(type, SLICE("IMAP")))
        server.protocol = DISCOVER_IMAP;
    else if (slice_eq_nocase(type, SLICE("POP3")))
        server.protocol = DISCOVER_POP3;
    else if (slice_eq_nocase(type, SLICE("SMTP")))
        server.protocol = DISCOVER_SMTP;
    else
        return; /* EXCH, WEB and others */
    if (!security_of(node, port, &server.security)) {
        settings->plain++;
        return;
    }
    settings_add(settings, &server, port, name, arena);
}

enum discover_why autodiscover_read(
    struct slice xml, const struct name *name, struct arena *arena, struct settings *out_settings)
{
    struct xml_node *root = NULL;
    struct settings settings = { .provider = SLICE_EMPTY, .switch_on = SLICE_EMPTY };
    enum discover_why why = xml_read(xml, arena, &root);
    if (why != DISCOVER_FOUND)
        return why;
    const struct xml_node *response = xml_child(root, "Response");
    if (!slice_eq(root->name, SLICE("Autodiscover")) || !response)
        return DISCOVER_GARBAGE;
    const struct xml_node *node = xml_child(xml_child(response, "Account"), "Protocol");
    for (; node; node = xml_next(node))
        read_protocol(node, name, arena, &settings);
    *out_settings = settings;
    return settings_end(&settings);
}
