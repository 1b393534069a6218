/* App passwords, and devices: what logs in for a user. Each app password is one device; the main password is device 0, whatever uses it. Both are
 * kept in directory.db. Thread-safe; calls wait for the disk. */
#ifndef AUTH_DEVICE_H
#define AUTH_DEVICE_H

#include "auth/directory.h"

#define APP_PASSWORD_TEXT_BYTES 19u  /* "abcd-efgh-ijkm-npqr" */
#define NETWORKS_BYTES_MAX      511u /* APP_PASSWORD_NETWORKS_MAX of the longest */
#define DEVICE_ADDRESS_BYTES    45u  /* INET6_ADDRSTRLEN without its NUL */
#define USER_SERVICE_COUNT      3u   /* bits of enum user_service */
#define USER_SERVICES_ALL       (USER_IMAP | USER_POP3 | USER_SUBMISSION)

/* The name in one spelling (NFC), without blanks at its ends. out has APP_PASSWORD_NAME_BYTES_MAX + 1 bytes. ERR_SYNTAX: empty, controls, no
 * UTF-8; ERR_LIMIT. */
enum err MUST_USE device_name_canonical(struct slice name, char *out);
/* "192.0.2.7/24, 2001:DB8::/32" gives "192.0.2.0/24,2001:db8::/32"; a single address is a network of one. out has NETWORKS_BYTES_MAX + 1
 * bytes. ERR_SYNTAX; ERR_LIMIT over APP_PASSWORD_NETWORKS_MAX. */
enum err MUST_USE networks_canonical(struct slice text, char *out);
/* Whether an address ("192.0.2.7", conn_peer) is in one of them; canonical is what the function above made. */
bool networks_have(struct slice canonical, const char *address);

struct app_password_new {
    struct slice name;
    unsigned services;     /* enum user_service bits: at most these, and of them what the user has */
    int64_t expires_s;     /* from then on it is wrong; 0: never */
    struct slice networks; /* empty: from anywhere */
};
/* Makes one. out_text (APP_PASSWORD_TEXT_BYTES + 1 bytes, to be wiped by the caller) is the only copy there is of it. ERR_EXISTS: the user has
 * one of that name; ERR_LIMIT: APP_PASSWORDS_PER_USER_MAX are there, or as the functions above; ERR_SYNTAX: as above, or no service; ERR_NOT_FOUND: no such
 * user. */
enum err MUST_USE directory_app_password_add(struct directory *directory, const struct user *user,
    const struct app_password_new *wanted, char *out_text, int64_t *out_device);
/* Its device is gone with all that was known of it; the sessions are the caller's to end. ERR_NOT_FOUND. */
enum err MUST_USE directory_app_password_revoke(struct directory *directory,
    const struct user *user, struct slice name, int64_t *out_device);
/* Whether the login that gave this user would be let in now: the user is there and not disabled, has the service, and the password it was made with is
 * still the same, or the app password is there. True when it cannot be known. */
bool directory_login_holds(
    struct directory *directory, const struct user *user, enum user_service service);

/* What one device did with one service. */
struct device_use {
    int64_t last_s; /* 0: never seen */
    char address[DEVICE_ADDRESS_BYTES + 1];
    uint64_t retrieved; /* messages taken by POP3 */
};
struct device {
    int64_t id;                                 /* 0: the main password */
    char name[APP_PASSWORD_NAME_BYTES_MAX + 1]; /* "" for that */
    unsigned services;
    int64_t created_s, expires_s;
    char networks[NETWORKS_BYTES_MAX + 1];
    struct device_use uses[USER_SERVICE_COUNT]; /* [i] is that of service 1 << i */
};
/* The main password first, then the app passwords by name. */
enum err MUST_USE directory_devices(struct directory *directory, const struct user *user,
    struct arena *arena, struct device **out_list, size_t *out_count);
/* The use that was last, or NULL. */
const struct device_use *device_last_use(
    const struct device *device, enum user_service *out_service);

/* Adds what devices did since it was last written: one transaction, one wait for the disk. What users and devices that are gone did is left out. */
struct device_news {
    char user_id[USER_ID_BYTES + 1];
    int64_t device;
    enum user_service service;
    struct device_use use; /* retrieved: so many more */
};
enum err MUST_USE directory_devices_write(
    struct directory *directory, const struct device_news *news, size_t count);

#endif
