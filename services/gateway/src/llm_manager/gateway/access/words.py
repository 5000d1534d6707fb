"""What permissions and roles are called, in the languages of the product; pure.

Written for this project by hand, 2026-11; whoever adds a permission or a language adds its row, and a test asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from llm_manager.gateway.access.rules import Permission, Role

LANGUAGES: Sequence[str] = ("en", "es", "fr", "de")


class Words(NamedTuple):
    """A short name, and what it means in one sentence."""

    title: str
    description: str


def _in_all(*texts: str) -> Mapping[str, Words]:
    """Pair titles and descriptions, in the order of the languages."""
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return MappingProxyType({language: Words(*pair) for language, pair in zip(LANGUAGES, pairs, strict=True)})


_P, _R = Permission, Role
PERMISSIONS: Mapping[Permission, Mapping[str, Words]] = MappingProxyType(
    {
        _P.BASE_VIEW: _in_all(
            *("See", "See apps, models, providers and overrides, without secrets."),
            *("Ver", "Ver aplicaciones, modelos, proveedores y ajustes, sin secretos."),
            *("Voir", "Voir les applications, modèles, fournisseurs et réglages, sans secrets."),
            *("Ansehen", "Apps, Modelle, Anbieter und Vorgaben ansehen, ohne Geheimnisse."),
        ),
        _P.BASE_CREATE: _in_all(
            *("Create", "Create what belongs to oneself: conversations, prompts, documents."),
            *("Crear", "Crear lo propio: conversaciones, prompts, documentos."),
            *("Créer", "Créer ce qui est à soi : conversations, prompts, documents."),
            *("Anlegen", "Eigenes anlegen: Unterhaltungen, Prompts, Dokumente."),
        ),
        _P.MODELS_MANAGE: _in_all(
            *("Manage models", "Create and change configurations, aliases and parameter overrides."),
            *("Gestionar modelos", "Crear y cambiar configuraciones, alias y ajustes de parámetros."),
            *("Gérer les modèles", "Créer et modifier configurations, alias et réglages de paramètres."),
            *("Modelle verwalten", "Konfigurationen, Aliasse und Parametervorgaben anlegen und ändern."),
        ),
        _P.PROVIDERS_MANAGE: _in_all(
            *("Manage providers", "Add, change and archive providers, and set their keys."),
            *("Gestionar proveedores", "Añadir, cambiar y archivar proveedores, y fijar sus claves."),
            *("Gérer les fournisseurs", "Ajouter, modifier et archiver des fournisseurs, et définir leurs clés."),
            *("Anbieter verwalten", "Anbieter hinzufügen, ändern und archivieren, und ihre Schlüssel setzen."),
        ),
        _P.CONNECTIONS_TEST: _in_all(
            *("Test connections", "Ask a provider with its stored key whether it answers."),
            *("Probar conexiones", "Preguntar a un proveedor, con su clave guardada, si responde."),
            *("Tester les connexions", "Demander à un fournisseur, avec sa clé enregistrée, s'il répond."),
            *("Verbindungen prüfen", "Einen Anbieter mit seinem hinterlegten Schlüssel fragen, ob er antwortet."),
        ),
        _P.CONVERSATIONS_VIEW: _in_all(
            *("See conversations", "Read the conversations that one may see."),
            *("Ver conversaciones", "Leer las conversaciones que uno puede ver."),
            *("Voir les conversations", "Lire les conversations que l'on peut voir."),
            *("Unterhaltungen ansehen", "Die Unterhaltungen lesen, die man sehen darf."),
        ),
        _P.PROMPTS_MANAGE: _in_all(
            *("Manage prompts", "Create, change and publish prompt templates."),
            *("Gestionar prompts", "Crear, cambiar y publicar plantillas de prompts."),
            *("Gérer les prompts", "Créer, modifier et publier des modèles de prompts."),
            *("Prompts verwalten", "Promptvorlagen anlegen, ändern und veröffentlichen."),
        ),
        _P.TOOLS_MANAGE: _in_all(
            *("Manage tools", "Add tools and MCP servers, and say who may use them."),
            *("Gestionar herramientas", "Añadir herramientas y servidores MCP, y decir quién puede usarlos."),
            *("Gérer les outils", "Ajouter des outils et serveurs MCP, et dire qui peut les utiliser."),
            *("Werkzeuge verwalten", "Werkzeuge und MCP-Server hinzufügen und sagen, wer sie benutzen darf."),
        ),
        _P.WORKFLOWS_MANAGE: _in_all(
            *("Manage workflows", "Create, change and run workflows."),
            *("Gestionar flujos", "Crear, cambiar y ejecutar flujos de trabajo."),
            *("Gérer les workflows", "Créer, modifier et exécuter des workflows."),
            *("Abläufe verwalten", "Abläufe anlegen, ändern und ausführen."),
        ),
        _P.KNOWLEDGE_MANAGE: _in_all(
            *("Manage knowledge", "Add and remove documents, and index them."),
            *("Gestionar conocimiento", "Añadir y quitar documentos, e indexarlos."),
            *("Gérer les connaissances", "Ajouter et retirer des documents, et les indexer."),
            *("Wissen verwalten", "Dokumente hinzufügen, entfernen und indizieren."),
        ),
        _P.METRICS_VIEW: _in_all(
            *("See metrics", "See how fast and how well the platform runs."),
            *("Ver métricas", "Ver la rapidez y la salud de la plataforma."),
            *("Voir les métriques", "Voir la vitesse et l'état de la plateforme."),
            *("Metriken ansehen", "Sehen, wie schnell und wie gut die Plattform läuft."),
        ),
        _P.STATS_VIEW: _in_all(
            *("See statistics", "See use and cost, by app, key and model."),
            *("Ver estadísticas", "Ver uso y coste por aplicación, clave y modelo."),
            *("Voir les statistiques", "Voir l'usage et le coût par application, clé et modèle."),
            *("Statistik ansehen", "Nutzung und Kosten ansehen, nach App, Schlüssel und Modell."),
        ),
        _P.KEYS_MANAGE: _in_all(
            *("Manage apps and keys", "Create apps and API keys, change, rotate and revoke them."),
            *(
                "Gestionar aplicaciones y claves",
                "Crear aplicaciones y claves, cambiarlas, rotarlas y revocarlas.",
            ),
            *(
                "Gérer les applications et clés",
                "Créer applications et clés, les modifier, renouveler et révoquer.",
            ),
            *("Apps und Schlüssel verwalten", "Apps und API-Schlüssel anlegen, ändern, erneuern und widerrufen."),
        ),
        _P.BUDGETS_MANAGE: _in_all(
            *("Manage budgets", "Set budgets and limits."),
            *("Gestionar presupuestos", "Fijar presupuestos y límites."),
            *("Gérer les budgets", "Définir budgets et limites."),
            *("Budgets verwalten", "Budgets und Grenzen setzen."),
        ),
        _P.USERS_MANAGE: _in_all(
            *("Manage users", "Create users, give them roles and end their sessions."),
            *("Gestionar usuarios", "Crear usuarios, darles roles y cerrar sus sesiones."),
            *("Gérer les utilisateurs", "Créer des utilisateurs, leur donner des rôles et fermer leurs sessions."),
            *("Benutzer verwalten", "Benutzer anlegen, ihnen Rollen geben und ihre Sitzungen beenden."),
        ),
        _P.AUDIT_VIEW: _in_all(
            *("See the audit", "Read, export and prove what was done and by whom."),
            *("Ver la auditoría", "Leer, exportar y comprobar qué se hizo y quién lo hizo."),
            *("Voir l'audit", "Lire, exporter et prouver ce qui a été fait et par qui."),
            *("Protokoll ansehen", "Lesen, ausgeben und prüfen, was getan wurde und von wem."),
        ),
    }
)
ROLES: Mapping[Role, Mapping[str, Words]] = MappingProxyType(
    {
        _R.SUPER_ADMIN: _in_all(
            *("Super administrator", "May do everything, users and audit included."),
            *("Superadministrador", "Puede hacer todo, incluidos usuarios y auditoría."),
            *("Super-administrateur", "Peut tout faire, utilisateurs et audit compris."),
            *("Hauptverwalter", "Darf alles, auch Benutzer und Protokoll."),
        ),
        _R.MASTER_DEVELOPER: _in_all(
            *("Master developer", "May do everything; for those who run the platform."),
            *("Desarrollador principal", "Puede hacer todo; para quienes operan la plataforma."),
            *("Développeur principal", "Peut tout faire ; pour ceux qui exploitent la plateforme."),
            *("Leitender Entwickler", "Darf alles; für die, die die Plattform betreiben."),
        ),
        _R.ADMINISTRATOR: _in_all(
            *("Administrator", "Sees conversations and statistics, and manages prompts."),
            *("Administrador", "Ve conversaciones y estadísticas, y gestiona prompts."),
            *("Administrateur", "Voit conversations et statistiques, et gère les prompts."),
            *("Verwalter", "Sieht Unterhaltungen und Statistik und verwaltet Prompts."),
        ),
        _R.DEVELOPER: _in_all(
            *("Developer", "Builds prompts, tools, workflows and knowledge, and sees metrics."),
            *("Desarrollador", "Construye prompts, herramientas, flujos y conocimiento, y ve métricas."),
            *("Développeur", "Construit prompts, outils, workflows et connaissances, et voit les métriques."),
            *("Entwickler", "Baut Prompts, Werkzeuge, Abläufe und Wissen und sieht Metriken."),
        ),
    }
)


def language_of(wanted: str) -> str:
    """Return the first language of an Accept-Language header that the product has; English where it has none.

    Weights are not read: browsers send languages in the order of preference (RFC 9110, 12.5.4).
    """
    for item in wanted[:200].split(","):
        short = item.partition(";")[0].strip().lower().partition("-")[0]
        if short in LANGUAGES:
            return short
    return LANGUAGES[0]
