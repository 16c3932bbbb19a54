"""Pages of people who have signed in, and those that lead there.

How a page is made here, in one place each:
- `session`: who is asking. `InSigned` in a handler's arguments is somebody signed in, or the browser is
  led to /sign-in and back; `InConfirmed` also gave the password a short while ago.
- `form`: what was posted. `InForm` has checked whence it comes and the token of `form_open` (_fields.html);
  `Sent` is a refused form, drawn again with its values, never a password.
- `shell`: `answer_signed` draws a template that extends signed.html; what the rail shows to whom is ITEMS.
"""
