"""What the pictures' licenses allow, and whether a data set of them may be published.

A license is known by its URL or, where an annotation file gives none, by its name in COCO's table. Its id
says nothing: each annotation file has a numbering of its own.
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
"""What allows everything, by the URL's pattern: its name, and its id on the Hub."""


@dataclass(frozen=True, slots=True)
class LicenseTerms:
    """A license that is known.

    Attributes:
        name: As people write it.
        url: Its text, or what says that there are no restrictions.
        hub: Its id on the Hub, empty where it has none.
        commercial: Whether it allows commercial use.
        derivatives: Whether it allows derivatives, such as blurred frames.
    """

    name: str
    url: str
    hub: str = ""
    commercial: bool = True
    derivatives: bool = True


ANNOTATIONS = LicenseTerms("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0")
"""What COCO's annotations are under, from which segments are made; the pictures have terms of their own."""


@dataclass(frozen=True, slots=True)
class SampleLicense:
    """A license of a data set with the number of samples under it; `terms` is None where it is not known."""

    count: LicenseCount
    terms: LicenseTerms | None

    @staticmethod
    def of(count: LicenseCount) -> SampleLicense:
        """A license of a manifest.

        >>> from mfsynth.shards.manifest import LicenseCount
        >>> SampleLicense.of(LicenseCount(6, "Attribution-NoDerivs License", "", samples=3)).limits
        'no derivatives'
        >>> SampleLicense.of(LicenseCount(6, "research only", "", samples=3)).limits
        'unknown'
        """
        return SampleLicense(count, terms_at(count.url or COCO.get(count.name, "")))

    @property
    def name(self) -> str:
        """As people write it, else as the annotation file does."""
        return self.terms.name if self.terms else f"{self.count.name or 'no name'} (id {self.count.id})"

    @property
    def url(self) -> str:
        """Its text, as far as the annotation file or COCO's table tells."""
        return self.terms.url if self.terms else self.count.url

    @property
    def limits(self) -> str:
        """What it forbids, in words; empty if such pictures may be altered and published for any use."""
        if self.terms is None:
            return "unknown"
        allowed = {"commercial use": self.terms.commercial, "derivatives": self.terms.derivatives}
        return ", ".join(f"no {what}" for what, allows in allowed.items() if not allows)

    def line(self) -> str:
        """In words, with its samples."""
        return f"{self.count.samples:>14,}  {self.name}" + (f": {self.limits}" if self.limits else "")


def terms_at(url: str) -> LicenseTerms | None:
    """The terms that a URL stands for, None if they are not known.

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
    """Every license of a data set, in the manifest's order."""
    return tuple(SampleLicense.of(count) for count in manifest.licenses if count.samples)


def refusal(manifest: Manifest) -> tuple[str, str]:
    """Why the samples may not be published, by license, and what to do; both empty if they may.

    They may if every license is known and allows derivatives and commercial use, or if licenses were chosen
    at building.
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
        f"{samples} of {manifest.samples} samples are not free to be published: {counts}",
        f"build without them, by --licenses {free}, or {accept}" if free else accept,
    )
