-- Indexes that the existing SPMS lacks, for the API's reads and the invalidator's lookups.

create index on users_publicstaffprofile (is_hidden);
create index on projects_project (status);
create index on projects_project using gin (hidden_from_staff_profiles);
create index on projects_projectarea using gin (areas);
create index on projects_projectmember (project_id, position);
create index on documents_projectdocument (project_id, status);
create index on adminoptions_admintask using gin (secondary_users);
