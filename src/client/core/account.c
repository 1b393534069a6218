/* Accounts in memory, and where their files are. */
#include "client/core/account.h"

#include "base/dir.h"
#include "client/core/account_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- life ---- */

void client_strings_free(char **strings)
{
    for (size_t i = 0; strings && strings[i]; i++)
        free(strings[i]);
    free(strings);
}

size_t client_strings_count(char *const *strings)
{
    size_t count = 0;
    while (strings && strings[count])
        count++;
    return count;
}

void client_account_done(struct client_account *account)
{
    char *texts[] = { account->name, account->address, account->user, account->real_name,
        account->imap.host, account->pop3.host, account->smtp.host, account->password_file,
        account->ca_file, account->maildir, account->deliver_mbox, account->deliver_lmtp,
        account->oauth_issuer, account->oauth_token_url, account->oauth_authorization_url,
        account->oauth_device_url, account->oauth_client_id, account->oauth_client_secret_file };
    char **lists[] = { account->password_command, account->token_command, account->folders,
        account->skip_headers, account->deliver_command, account->oauth_client_secret_command,
        account->oauth_scope };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        client_strings_free(lists[i]);
    *account = (struct client_account){ 0 };
}

void client_accounts_done(struct client_accounts *accounts)
{
    if (!accounts)
        return;
    for (size_t i = 0; i < accounts->count; i++)
        client_account_done(&accounts->all[i]);
    free(accounts->all);
    *accounts = (struct client_accounts){ 0 };
}

const struct client_account *client_accounts_find(
    const struct client_accounts *accounts, const char *name)
{
    if (accounts->count == 0)
        return NULL;
    if (!name || !*name)
        return &accounts->all[0];
    for (size_t i = 0; i < accounts->count; i++)
        if (strcmp(accounts->all[i].name, name) == 0)
            return &accounts->all[i];
    for (size_t i = 0; i < accounts->count; i++)
        if (slice_eq_nocase(slice_of(accounts->all[i].address), slice_of(name)))
            return &accounts->all[i];
    return NULL;
}

/* ---- paths ---- */

/* $VARIABLE when it is an absolute path (the XDG rule), else HOME and the rest. NULL when neither is set. */
static char *base_folder(const char *variable, const char *below_home, const char *rest)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    char *path = NULL;
    int len = -1;
    if (base && base[0] == '/')
        len = asprintf(&path, "%s/%s", base, rest);
    else if (home && home[0] == '/')
        len = asprintf(&path, "%s/%s/%s", home, below_home, rest);
    return len < 0 ? NULL : path;
}

char *client_accounts_path(void)
{
    return base_folder("XDG_CONFIG_HOME", ".config", "barid/accounts.conf");
}

/* mkdir -p, naming the one that cannot be made. */
static enum err make_folders(char *path, struct err_note *note)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        enum err e = dir_make(path);
        if (e)
            return err_noted(note, e, "cannot make the folder %s: %s", path, strerror(errno));
        *at = kept;
        if (kept == '\0')
            return ERR_OK;
    }
}

enum err client_state_folder(const char *account_name, char **out_path, struct err_note *note)
{
    if (!client_account_name_ok(slice_of(account_name)))
        return err_noted(note, ERR_SYNTAX, "%s cannot be the name of an account", account_name);
    char rest[CLIENT_ACCOUNT_NAME_BYTES_MAX + 8];
    (void)snprintf(rest, sizeof rest, "barid/%s", account_name);
    char *path = base_folder("XDG_STATE_HOME", ".local/state", rest);
    if (!path)
        return err_noted(note, ERR_NOT_FOUND, "HOME is not set: no place to keep state");
    struct stat st;
    enum err e = make_folders(path, note);
    /* what is kept here decides what is deleted on servers, and the queue holds mail: nobody else's folder */
    if (!e && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
                  (st.st_mode & 022)))
        e = err_noted(note, ERR_DENIED,
            "%s has to be a folder of yours that nobody else can write: chmod 700 it", path);
    if (e) {
        free(path);
        return e;
    }
    *out_path = path;
    return ERR_OK;
}
