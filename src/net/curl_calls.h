/* libcurl, loaded when the first URL is asked.
 *
 * It brings twenty libraries with it (LDAP, Kerberos, SSH, RTMP, GnuTLS, ...), which a server and most commands never
 * need: without them the program starts in two thirds of the time and with 3.6 MiB less
 * (docs/decisions/0008-libraries-when-needed.md). */
#ifndef NET_CURL_CALLS_H
#define NET_CURL_CALLS_H

#include <curl/curl.h>

#define CURL_LIBRARY                                                                               \
    "libcurl.so.4" /* the name goes with the calls: another number means other calls */

struct curl_calls {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_setopt) *setopt;
    __typeof__(curl_easy_perform) *perform;
    __typeof__(curl_easy_getinfo) *getinfo;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_slist_append) *append;
    __typeof__(curl_slist_free_all) *free_all;
    __typeof__(curl_url) *url;
    __typeof__(curl_url_set) *url_set;
    __typeof__(curl_url_get) *url_get;
    __typeof__(curl_url_cleanup) *url_cleanup;
    __typeof__(curl_free) *free;
};

/* Loads and starts it once, from whatever thread comes first. NULL when this machine does not have it, then and ever after. */
const struct curl_calls *curl_calls(void);

#endif
