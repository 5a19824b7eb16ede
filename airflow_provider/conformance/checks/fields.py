"""Fields of replies that the vendors document: a report names these, and no others."""

from __future__ import annotations

_OPENAPI = "openapi swagger info paths get post put delete patch responses parameters components definitions"
_ERRORS = "error error_code error_description errors detail details message title type status code traceId"
_TOKEN = "access_token expires_in token_type scope expired refresh_token id_token"  # noqa: S105 - names
_METADATA = "issuer token_endpoint grant_types_supported scopes_supported authorization_endpoint jwks_uri"

_MAPSINDOORS = """
id parentId datasetId externalId baseType displayTypeId displaySetting geometry anchor aliases categories
baseTypeProperties properties additionalDetails tilesUrl tileStyles coordinates bbox name availableLanguages
baseLanguage rootObjects customerId client_id description createdAt
"""
_AMIGOCLOUD = """
count next previous results data columns limit offset query id url name uuid owner owner_id
organization project table_name feature_count master master_state states job extra new_state
total_rows email first_name last_name custom_id visible_projects projects created_on last_updated
dataset_count schema geometry_column geo_type amigo_id source_amigo_id filename s3_filename upload_id
offset expires renders parses actions PUT label required read_only
"""
_IOTSTUDIO = """
data paging next_cursor previous_cursor uid href created modified categories properties actions events links
model at status result hasMore name description fields
"""
_LEANIX = """
id status description url connectorType connectorId connectorVersion processingDirection processingMode
lxVersion lxWorkspace content processors processor category SAS expireAt processorStatistics statusChanges
timestamp totalBlockingTime errorCount processedContentCount
"""

FIELDS: dict[str, frozenset[str]] = {
    service: frozenset(f"{_OPENAPI} {_ERRORS} {_TOKEN} {_METADATA} {own}".split())
    for service, own in (
        ("mapsindoors", _MAPSINDOORS),
        ("amigocloud", _AMIGOCLOUD),
        ("iotstudio", _IOTSTUDIO),
        ("leanix", _LEANIX),
    )
}
"""Names of fields by service."""
