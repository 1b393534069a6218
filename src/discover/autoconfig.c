/* clientConfig / emailProvider / incomingServer, outgoingServer (draft-ietf-mailmaint-autoconfig §3). */
#include "discover/settings.h"
#include "discover/xml.h"

static unsigned auth_of(const struct xml_node *server)
{
    unsigned auth = 0;
    const struct xml_node *one = xml_child(server, "authentication");
    for (; one; one = xml_next(one)) {
        if (slice_eq_nocase(one->text, SLICE("OAuth2")))
            auth |= DISCOVER_OAUTH2;
        else if (slice_eq_nocase(xml_attribute(one, "system"), SLICE("sasl")) ||
                 slice_eq_nocase(one->text, SLICE("password-cleartext")) ||
                 slice_eq_nocase(one->text, SLICE("password-encrypted")) ||
                 slice_eq_nocase(one->text, SLICE("plain")) ||
                 slice_eq_nocase(one->text, SLICE("secure")))
            auth |= DISCOVER_PASSWORD;
    }
    return auth;
}

static void read_server(const struct xml_node *node, enum discover_protocol protocol,
    const struct name *name, struct arena *arena, struct settings *settings)
{
    struct settings_server server = { .protocol = protocol,
        .host = xml_text(node, "hostname"),
        .user = xml_text(node, "username"),
        .auth = auth_of(node) };
    struct slice socket = xml_text(node, "socketType");
    if (slice_eq_nocase(socket, SLICE("SSL")) || slice_eq_nocase(socket, SLICE("TLS"))) {
        server.security = DISCOVER_TLS;
    } else if (slice_eq_nocase(socket, SLICE("STARTTLS"))) {
        server.security = DISCOVER_STARTTLS;
    } else {
        settings->plain++;
        return;
    }
    settings_add(settings, &server, xml_text(node, "port"), name, arena);
}

static void read_incoming(const struct xml_node *node, const struct name *name, struct arena *arena,
    struct settings *settings)
{
    struct slice type = xml_attribute(node, "type");
    if (slice_eq_nocase(type, SLICE("imap")))
        read_server(node, DISCOVER_IMAP, name, arena, settings);
    else if (slice_eq_nocase(type, SLICE("pop3")))
        read_server(node, DISCOVER_POP3, name, arena, settings);
}

static void read_outgoing(const struct xml_node *node, const struct name *name, struct arena *arena,
    struct settings *settings)
{
    struct slice type = xml_attribute(node, "type");
    if (slice_eq_nocase(type, SLICE("smtp")))
        read_server(node, DISCOVER_SMTP, name, arena, settings);
}

enum discover_why autoconfig_read(
    struct slice xml, const struct name *name, struct arena *arena, struct settings *out_settings)
{
    struct xml_node *root = NULL;
    struct settings settings = { .provider = SLICE_EMPTY,
        .switch_on = SLICE_EMPTY,
        .oauth_issuer = SLICE_EMPTY,
        .oauth_scope = SLICE_EMPTY };
    enum discover_why why = xml_read(xml, arena, &root);
    if (why != DISCOVER_FOUND)
        return why;
    const struct xml_node *provider = xml_child(root, "emailProvider");
    if (!slice_eq(root->name, SLICE("clientConfig")) || !provider)
        return DISCOVER_GARBAGE;
    settings.provider = xml_text(provider, "displayName");
    const struct xml_node *oauth = xml_child(root, "oAuth2");
    settings_oauth(&settings, xml_text(oauth, "issuer"), xml_text(oauth, "scope"), arena);
    const struct xml_node *enable = xml_child(provider, "enable");
    if (enable)
        settings.switch_on = settings_page(xml_attribute(enable, "visiturl"));
    const struct xml_node *node = xml_child(provider, "incomingServer");
    for (; node; node = xml_next(node))
        read_incoming(node, name, arena, &settings);
    node = xml_child(provider, "outgoingServer");
    for (; node; node = xml_next(node))
        read_outgoing(node, name, arena, &settings);
    *out_settings = settings;
    return settings_end(&settings);
}
