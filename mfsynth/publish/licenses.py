"""What the pictures' licenses allow, and whether a data set with these pictures may be published.

A license is identified by its URL or, if the annotation file gives none, by its name in COCO's table. Its id
says nothing: each annotation file has its own numbering.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfsynth.shards.manifest import LicenseCount, Manifest

COCO = {
    "Attribution-NonCommercial-ShareAlike License": "http://creativecommons.org/licenses/by-nc-sa/2.0/",
    "Attribution-NonCommercial License": "http://creativecommons.org/licenses/by-nc/2.0/",
    "Attribution-NonCommercial-NoDerivs License": "http://creativecommons.org/licenses/by-nc-nd/2.0/",
    "Attribution License": "http://creativecommons.org/licenses/by/2.0/",
    "Attribution-ShareAlike License": "http://creativecommons.org/licenses/by-sa/2.0/",
    "Attribution-NoDerivs License": "http://creativecommons.org/licenses/by-nd/2.0/",
    "No known copyright restrictions": "http://flickr.com/commons/usage/",
    "United States Government Work": "http://www.usa.gov/copyright.shtml",
}
"""COCO's table of licenses: URLs by name."""

HUB_IDS = frozenset(
    {
        "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
        "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    }
)  # fmt: skip
"""The Creative Commons licenses that the Hub has an id for."""

_HOST = r"https?://(?:www\.)?"
_CREATIVE_COMMONS = re.compile(
    _HOST + r"creativecommons\.org/licenses/(?P<kind>by(?:-nc)?(?:-nd|-sa)?)/(?P<version>\d\.\d)(?:/.*)?"
)
_UNRESTRICTED = {
    r"creativecommons\.org/publicdomain/zero/1\.0(?:/.*)?": ("CC0 1.0", "cc0-1.0"),
    r"creativecommons\.org/publicdomain/mark/1\.0(?:/.*)?": ("Public Domain Mark 1.0", ""),
    r"flickr\.com/commons/usage/?": ("no known copyright restrictions", ""),
    r"usa\.gov/copyright\.shtml": ("US government work", ""),
}
"""Terms without restrictions, by a pattern of their URL: name, and id on the Hub."""


@dataclass(frozen=True, slots=True)
class LicenseTerms:
    """What a known license allows.

    Attributes:
        name: The license's usual name.
        url: The URL of its text, or of the statement that there are no restrictions.
        hub: Its id on the Hub; empty if it has none.
        commercial: Whether it allows commercial use.
        derivatives: Whether it allows derivatives, such as blurred frames.
    """

    name: str
    url: str
    hub: str = ""
    commercial: bool = True
    derivatives: bool = True

    @property
    def allows(self) -> tuple[bool, bool]:
        """Whether it allows commercial use, and derivatives."""
        return self.commercial, self.derivatives


ANNOTATIONS = LicenseTerms("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0")
"""The license of COCO's annotations, from which segments are made; the pictures have their own."""


@dataclass(frozen=True, slots=True)
class SampleLicense:
    """A license in a data set, with the number of samples under it; `terms` is None if it is unknown."""

    count: LicenseCount
    terms: LicenseTerms | None

    @staticmethod
    def of(count: LicenseCount) -> SampleLicense:
        """A license, from a manifest's count.

        >>> from mfsynth.shards.manifest import LicenseCount
        >>> SampleLicense.of(LicenseCount(6, "Attribution-NoDerivs License", "", samples=3)).limits
        'no derivatives'
        >>> SampleLicense.of(LicenseCount(6, "research only", "", samples=3)).limits
        'unknown'

        A name of COCO's with the URL of a license that allows more or less is unknown, too.

        >>> forged = LicenseCount(3, "Attribution-NoDerivs License", COCO["Attribution License"], samples=3)
        >>> SampleLicense.of(forged).limits
        'unknown'
        """
        named, linked = terms_at(COCO.get(count.name, "")), terms_at(count.url)
        agree = not named or not linked or named.allows == linked.allows
        return SampleLicense(count, (linked if count.url else named) if agree else None)

    @property
    def name(self) -> str:
        """The license's usual name if it is known, else its name in the annotation file."""
        return self.terms.name if self.terms else f"{self.count.name or 'no name'} (id {self.count.id})"

    @property
    def url(self) -> str:
        """The URL of its text, if the annotation file or COCO's table gives one; else empty."""
        return self.terms.url if self.terms else self.count.url

    @property
    def limits(self) -> str:
        """What it forbids, in words; empty if it allows derivatives and commercial use."""
        if self.terms is None:
            return "unknown"
        allowed = {"commercial use": self.terms.commercial, "derivatives": self.terms.derivatives}
        return ", ".join(f"no {what}" for what, allows in allowed.items() if not allows)

    def line(self) -> str:
        """The number of samples, the name and the limits, as a line of a report."""
        return f"{self.count.samples:>14,}  {self.name}" + (f": {self.limits}" if self.limits else "")


def terms_at(url: str) -> LicenseTerms | None:
    """The terms of the license at a URL; None if it is unknown.

    >>> terms_at("https://creativecommons.org/licenses/by-nc/2.0/").commercial
    False
    """
    if match := _CREATIVE_COMMONS.fullmatch(url):
        kind, version = match["kind"], match["version"]
        hub, words = f"cc-{kind}-{version}", kind.split("-")
        return LicenseTerms(
            f"CC {kind.upper()} {version}",
            url,
            hub if hub in HUB_IDS else "",
            commercial="nc" not in words,
            derivatives="nd" not in words,
        )
    for pattern, (name, hub) in _UNRESTRICTED.items():
        if re.fullmatch(_HOST + pattern, url):
            return LicenseTerms(name, url, hub)
    return None


def licenses_of(manifest: Manifest) -> tuple[SampleLicense, ...]:
    """The licenses of a data set's samples, in the manifest's order."""
    return tuple(SampleLicense.of(count) for count in manifest.licenses if count.samples)


def refusal(manifest: Manifest) -> tuple[str, str]:
    """Why the samples may not be published, by license, and what to do; both are empty if they may.

    They may if every license is known and allows derivatives and commercial use, or if the build was given
    licenses to keep.
    """
    licenses = licenses_of(manifest)
    closed = [each for each in licenses if each.limits]
    if not closed or manifest.options.get("licenses"):
        return "", ""
    counts = "; ".join(f"{each.count.samples} under {each.name} ({each.limits})" for each in closed)
    samples = sum(each.count.samples for each in closed)
    free = ",".join(str(each.count.id) for each in licenses if not each.limits)
    accept = "give --accept-licenses if you have the right"
    return (
        f"{samples} of {manifest.samples} samples may not be published freely: {counts}",
        f"build without them, with --licenses {free}, or {accept}" if free else accept,
    )
