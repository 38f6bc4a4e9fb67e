// Hashes as the libraries of other systems have written them: Django 5.2.19, Werkzeug 3.1.9, argon2-cffi 25.1.0, bcrypt 5.0.0 and passlib
// 1.7.4 of Python, and password_hash() of PHP 8. Their parameters are as cheap as each library takes, but for those of `DEFAULTS`.
export const FOREIGN_PASSWORD = 'correct horse battery staple';

export const FOREIGN: Record<string, string> = {
  'Django pbkdf2_sha256':
    'pbkdf2_sha256$1000$saltsaltsaltsaltsaltsa$0AJeM2jX4Q80Wy2sQ2J+/15t88bqLj8VFJJKOwBxmZc=',
  'Django pbkdf2_sha1': 'pbkdf2_sha1$1000$saltsaltsaltsaltsaltsa$vc2/bTobrSUqVbB5dISrk03caKs=',
  'Django bcrypt': 'bcrypt$$2b$04$ejc3BENJNs1EO0Zuq5L8Feru2joM1bsQ3axPnHsg3Ux.d00H88hg2',
  'Django bcrypt_sha256': 'bcrypt_sha256$$2b$04$7zAtnDmmHFt3nScngCoZ2e7M3wP/uWLtVmsBI8h8nzSegAgccQmhC',
  'Django scrypt':
    'scrypt$1024$saltsaltsaltsaltsaltsa$8$5$oaUk6gUoB4rfqCo5Nf+e1a9xmQPdimigOwFIfxpba90S9CNzthtgAoeRZztRXclJDAM27sc/u4aUPf2qWQAmOQ==',
  'Django argon2':
    'argon2$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYQ$0BSQ48WMxF+cWye7RHqnGntBS/VvSFBpbjnS8dC8sbU',
  'argon2-cffi argon2id':
    '$argon2id$v=19$m=1024,t=3,p=4$mUigb22Wh6Q4nxZzoWn6mw$WxCBBgSCNXo+b/Kz+YJ5Buj0Oxu60uzTGi29TwfmZpY',
  'argon2-cffi argon2i': '$argon2i$v=19$m=256,t=2,p=1$d/m5dmPfqqC8XqJo/rxwjA$weSjuT0M1tTXXoRACnJ33g',
  'argon2-cffi argon2d':
    '$argon2d$v=19$m=256,t=2,p=1$F1Y+rwIA/o14Z9pSfHGabQ$a/U9d8m7PkZAVbCPv1DbsnlJrgq8yWcpseBrLnfv4XY',
  'bcrypt $2a$': '$2a$04$otZ6i/9sH0jde3mN2DVOr.g.RE/vGhUvU6vFNxMwkzfU78VD3/s8a',
  'bcrypt $2b$': '$2b$04$Mxb.2R1W2.eO0VRFEuk4J.2mD0L8NwaNrxtYiArwgHHowlBip7QD.',
  'bcrypt $2y$': '$2y$04$70gaHdgMtCB.nCtQ/hYVAu21i/cQqwUT1bz7h/MblU2GnVdGd2.3a',
  'PHP bcrypt': '$2y$04$j3M4EfD3hNQOH3qU.OdnIObAwpgXbQX.t.sbAGmpYtD86SdT4kF..',
  'passlib scrypt':
    '$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$7AnzIswxwEinpwz+ntydndYfVHPvOACmX9Vvo8hO1qM',
  'Werkzeug scrypt':
    'scrypt:1024:8:1$JRl6Wo0D3WvY7UbL$3d3ada3387f7e3968e6ef0a2a644dcbb34758da89ac30e3ef4fc1c64cd0e922a6e4d0f92ba5daf8e0e1aaab3eb763c669b6a5c26e659bd6c0b67103db97bb2d3',
  'Werkzeug pbkdf2':
    'pbkdf2:sha256:1000$34YMITcAbbngztBW$c2675ac0af1f888e6817c8aebbc07d0f8a33dcad2f588941d475777afe06e5c5',
  'Werkzeug pbkdf2 with SHA-1': 'pbkdf2:sha1:1000$EWUMbwlBpcsmkhNY$8d880571eed462545bb2d10161ea0129ea12acb0',
};

/** With the parameters that the libraries choose by themselves. */
export const DEFAULTS: Record<string, string> = {
  'Django pbkdf2_sha256':
    'pbkdf2_sha256$1000000$nTalhQsIL8GKucValpyq7e$B+T7pfF5+6xInes+ktUp6ABLgSGsVj82gk6GsnNBJvo=',
  'Django scrypt':
    'scrypt$16384$IkIqxWq55RmaWSc1OW9Uos$8$5$A6eI5x0W+beMRa61vx6U7Sdnth85TvrIcTMRM0fRkaZmUwMHfoqeXHGHYQzGYAUo1flCjJooTn7TgmjBfW8QJg==',
  'passlib scrypt':
    '$scrypt$ln=16,r=8,p=1$DGFMae2ds7bWurdWSum9Fw$OdF84Q9jlogCAfGbVsBN1SLnBghKnLj0bx173RhDqi4',
  'Werkzeug scrypt':
    'scrypt:32768:8:1$XTEBlptbjXMcYCUU$1c07fb71d50ca45d984fb7f889529806e2c8fa141ee91a8b283f7dee2aa509b6f27a2953e8000dae1c3e286663d02834008cb68b6d5561560cfcd7720e5b24e4',
};

/** Of passwords in which formats differ, made by `bcrypt` of Python. */
export const BCRYPT = {
  /** `ab` */
  ab: '$2b$04$jqoMl4H499SSco8fO4wAkum1RJp6k54ybRR3nvQ7UDv.e6sWRAxbW',
  empty: '$2b$04$0uV.5QQaWIunlAngzSIsY.EcS71UE4oDmjF.wvNfWyjolbIRSzAuy',
  /** `x`, 72 times. */
  longest: '$2b$04$qcDFl42.4j8IV5f6r0jBTO8rbP4d8DU5XT2FGUCW2gp/Ig80fWnyq',
  /** `x`, 71 times, and the first of the two bytes of `é`. */
  cutInCharacter: '$2b$04$57jOayAjxgsJT5tEPu6T5.tc22UFMtSGgEnRR0hQeA0f5FFv4kGUm',
  /** `pässwörd ☃ 𝄞` */
  unicode: '$2b$04$W.fVGfmYjkNzsSKgmElsNuzGIrOXacCeV6j9FmUrbfjz2KsZV5an6',
  /** `café` of five characters, the last a mark. */
  decomposed: '$2b$04$KSiJnbu.tec5xYC4epn8.eXSUL2gWbLsxYM1HNJ1K3yKPRH0W53h6',
  /** `long `, 40 times: what Django’s bcrypt_sha256 has hashed first. */
  digest: 'bcrypt_sha256$$2b$04$Mbq5xgb0JSFksmeOg15FLOH7PKy3XutBCNwlb8XTJ1EA3ONmf/OeC',
};
