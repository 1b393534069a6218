/* accounts.conf from anywhere. Oracle: what was read is written as blocks that read back the same, and are written the same again. */
#include "client/core/account_int.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void write_all(const struct client_accounts *accounts, struct buf *out)
{
    struct err_note note = { "" };
    for (size_t i = 0; i < accounts->count; i++) {
        enum err e = client_account_write(&accounts->all[i], out, &note);
        assert(e == ERR_OK);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_list(char *const *a, char *const *b)
{
    size_t count = client_strings_count(a);
    if (count != client_strings_count(b) || !a != !b)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

static bool same_server(const struct client_server *a, const struct client_server *b)
{
    return same_text(a->host, b->host) && a->port == b->port && a->security == b->security;
}

static void assert_same(const struct client_account *a, const struct client_account *b)
{
    assert(same_text(a->name, b->name));
    assert(same_text(a->address, b->address));
    assert(same_text(a->user, b->user));
    assert(same_text(a->real_name, b->real_name));
    assert(same_server(&a->imap, &b->imap));
    assert(same_server(&a->pop3, &b->pop3));
    assert(same_server(&a->smtp, &b->smtp));
    assert(a->receive == b->receive);
    assert(same_list(a->password_command, b->password_command));
    assert(same_text(a->password_file, b->password_file));
    assert(a->secret_service == b->secret_service);
    assert(same_list(a->token_command, b->token_command));
    assert(same_text(a->oauth_issuer, b->oauth_issuer));
    assert(same_text(a->oauth_authorization_url, b->oauth_authorization_url));
    assert(same_text(a->oauth_token_url, b->oauth_token_url));
    assert(same_text(a->oauth_device_url, b->oauth_device_url));
    assert(same_text(a->oauth_client_id, b->oauth_client_id));
    assert(same_list(a->oauth_client_secret_command, b->oauth_client_secret_command));
    assert(same_text(a->oauth_client_secret_file, b->oauth_client_secret_file));
    assert(same_list(a->oauth_scope, b->oauth_scope));
    assert(same_text(a->ca_file, b->ca_file));
    assert(same_text(a->maildir, b->maildir));
    assert(a->layout == b->layout);
    assert(a->compress == b->compress);
    assert(same_list(a->folders, b->folders));
    assert(a->days == b->days);
    assert(a->message_bytes_max == b->message_bytes_max);
    assert(a->keep == b->keep);
    assert(a->keep_days == b->keep_days);
    assert(a->server_bytes_max == b->server_bytes_max);
    assert(same_list(a->skip_headers, b->skip_headers));
    assert(same_text(a->deliver_mbox, b->deliver_mbox));
    assert(same_text(a->deliver_lmtp, b->deliver_lmtp));
    assert(same_list(a->deliver_command, b->deliver_command));
    assert(a->sent_copy == b->sent_copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct client_accounts accounts, again;
    struct err_note note = { "" };
    struct slice text = slice_from(bytes, len);
    enum err e = client_accounts_parse(text, "accounts.conf", "/home/salma", &accounts, &note);
    if (e) {
        assert(note.text[0]);
        return 0;
    }
    struct buf written;
    buf_init(&written, 0);
    write_all(&accounts, &written);
    e = client_accounts_parse(buf_slice(&written), "written", NULL, &again, &note);
    assert(e == ERR_OK);
    assert(again.count == accounts.count);
    for (size_t i = 0; i < accounts.count; i++)
        assert_same(&accounts.all[i], &again.all[i]);
    buf_done(&written);
    client_accounts_done(&accounts);
    client_accounts_done(&again);
    return 0;
}
