/* GET /: asks the backend for streams and detections and answers with a page of them.
 *
 * Thread: the server's. */
#ifndef API_PAGE_H
#define API_PAGE_H

#define API_PAGE_DETECTIONS      20
#define API_PAGE_REFRESH_DEFAULT 10   /* seconds */
#define API_PAGE_REFRESH_MAX     3600 /* 0: never */

struct api_request;

/* Completes the request, now or later. */
void api_page_show(struct api_request *request);

#endif
